/* Counts the system calls of a process: preload it, name a file in COUNTER_FILE, map that file.
   The counters are 64-bit integers, in the order of the enum below. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* As the C library declares them: glibc, or musl. */
#ifdef __GLIBC__
typedef int flags_type;
typedef unsigned long request_type;
#else
typedef unsigned int flags_type;
typedef int request_type;
#endif

enum { RECEIVE, SEND, WAIT, CONTROL, ACCEPT, DESCRIBE, CLOSE, KINDS };

static volatile uint64_t *counters;

__attribute__((constructor)) static void map_counters(void) {
    const char *path = getenv("COUNTER_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *memory = mmap(NULL, KINDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        counters = memory;
}

static void count(int kind) {
    if (counters)
        __atomic_fetch_add(&counters[kind], 1, __ATOMIC_RELAXED);
}

/* A wrapper that counts and calls the function it stands for. */
#define COUNTED(kind, type, name, parameters, arguments) \
    type name parameters { \
        static type (*real) parameters; \
        if (!real) \
            real = (type (*) parameters) dlsym(RTLD_NEXT, #name); \
        count(kind); \
        return real arguments; \
    }

COUNTED(RECEIVE, ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
COUNTED(RECEIVE, ssize_t, recvfrom,
        (int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *length),
        (fd, data, size, flags, from, length))
COUNTED(RECEIVE, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
COUNTED(RECEIVE, int, recvmmsg,
        (int fd, struct mmsghdr *messages, unsigned int n, flags_type flags, struct timespec *timeout),
        (fd, messages, n, flags, timeout))
COUNTED(RECEIVE, ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
COUNTED(SEND, ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
COUNTED(SEND, ssize_t, sendto,
        (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length),
        (fd, data, size, flags, to, length))
COUNTED(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
#ifdef __GLIBC__
COUNTED(SEND, int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned int n, int flags),
        (fd, messages, n, flags))
#else /* musl's is a sendmsg for each message, and calls its own */
int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, unsigned int flags) {
    unsigned int i;
    for (i = 0; i < n; i++) {
        ssize_t sent = sendmsg(fd, &messages[i].msg_hdr, flags);
        if (sent < 0)
            return i ? (int) i : -1;
        messages[i].msg_len = sent;
    }
    return n;
}
#endif
COUNTED(SEND, ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
COUNTED(SEND, ssize_t, writev, (int fd, const struct iovec *pieces, int n), (fd, pieces, n))
COUNTED(CONTROL, int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),
        (epoll, operation, fd, event))
COUNTED(WAIT, int, epoll_wait, (int epoll, struct epoll_event *events, int size, int timeout),
        (epoll, events, size, timeout))
COUNTED(WAIT, int, epoll_pwait,
        (int epoll, struct epoll_event *events, int size, int timeout, const sigset_t *mask),
        (epoll, events, size, timeout, mask))
COUNTED(WAIT, int, select, (int n, fd_set *in, fd_set *out, fd_set *bad, struct timeval *timeout),
        (n, in, out, bad, timeout))
COUNTED(ACCEPT, int, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
COUNTED(ACCEPT, int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
        (fd, address, size, flags))
COUNTED(DESCRIBE, int, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
COUNTED(DESCRIBE, int, getpeername, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
COUNTED(DESCRIBE, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
        (fd, level, name, value, size))
COUNTED(DESCRIBE, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
        (fd, level, name, value, size))
COUNTED(CLOSE, int, shutdown, (int fd, int how), (fd, how))
COUNTED(CLOSE, int, close, (int fd), (fd))

/* Those with a variable list of arguments: the third is a word, or nothing is read there. */
#define COUNTED_WITH_WORD(name, type) \
    int name(int fd, type operation, ...) { \
        static int (*real)(int, type, ...); \
        va_list list; \
        va_start(list, operation); \
        long word = va_arg(list, long); \
        va_end(list); \
        if (!real) \
            real = (int (*)(int, type, ...)) dlsym(RTLD_NEXT, #name); \
        count(DESCRIBE); \
        return real(fd, operation, word); \
    }

COUNTED_WITH_WORD(fcntl, int)
COUNTED_WITH_WORD(fcntl64, int)
COUNTED_WITH_WORD(ioctl, request_type)

long syscall(long number, ...) {
    static long (*real)(long, ...);
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (!real)
        real = (long (*)(long, ...)) dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_epoll_pwait2)
        count(WAIT);
    if (number == SYS_sendmmsg)
        count(SEND);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
