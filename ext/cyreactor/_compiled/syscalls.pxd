# The system calls of the hot path, and their structures: extern declarations only.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)

cdef extern from "sys/epoll.h" nogil:
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLPRI, EPOLLET
    int EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    int EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int size, int milliseconds)

cdef extern from "sys/eventfd.h" nogil:
    int EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int start, int flags)

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    struct sockaddr_storage:
        pass
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    cmsghdr* CMSG_NXTHDR(msghdr* message, cmsghdr* control)
    unsigned char* CMSG_DATA(cmsghdr* control)
    size_t CMSG_LEN(size_t size)
    size_t CMSG_SPACE(size_t size)
    int AF_INET, AF_INET6, AF_UNIX
    int MSG_NOSIGNAL, MSG_DONTWAIT, MSG_TRUNC, SOCK_NONBLOCK, SOCK_CLOEXEC, SHUT_WR
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)
    Py_ssize_t sendto(
        int fd, const void* buffer, size_t size, int flags, const sockaddr* address, socklen_t length)
    Py_ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, timespec* timeout)
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int getsockname(int fd, sockaddr* address, socklen_t* size)
    int getsockopt(int fd, int level, int option, void* value, socklen_t* size)
    int shutdown(int fd, int how)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_UDP
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id

cdef extern from "sys/un.h" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char[108] sun_path

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* source, char* target, socklen_t size)
    int inet_pton(int family, const char* source, void* target)
    uint16_t htons(uint16_t value)
    uint16_t ntohs(uint16_t value)
    uint32_t htonl(uint32_t value)
    uint32_t ntohl(uint32_t value)

cdef extern from "unistd.h" nogil:
    int close(int fd)
    Py_ssize_t write(int fd, const void* buffer, size_t size)

cdef extern from *:
    """
    /* By number: glibc knows the names only since 2.29, the kernel what they stand for since 4.18 and 5.0. */
    #ifndef UDP_SEGMENT
    #define UDP_SEGMENT 103
    #endif
    #ifndef UDP_GRO
    #define UDP_GRO 104
    #endif
    """
    int UDP_SEGMENT, UDP_GRO

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/epoll.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef SYS_epoll_pwait2
    #define SYS_epoll_pwait2 441
    #endif
    /* By number: glibc knows the name only since 2.35, the kernel the call since 5.11. The kernel's timespec
       is of two 64 bit numbers, also where the C library's is not. */
    static inline int epoll_pwait2_by_number(int epoll, struct epoll_event *events, int size,
                                      const struct timespec *timeout) {
        const long long time[2] = {timeout->tv_sec, timeout->tv_nsec};
        return (int) syscall(SYS_epoll_pwait2, epoll, events, size, time, NULL, (size_t) 0);
    }
    """
    int epoll_pwait2_by_number(int epoll, epoll_event* events, int size, const timespec* timeout) nogil

cdef extern from *:
    """
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    /* By number: what musl calls sendmmsg is a system call for each message. Its lengths are halves of the
       kernel's, and what is between them has to be zero. */
    static inline int sendmmsg_by_number(int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    #ifndef __GLIBC__
        for (unsigned int i = 0; i < count; i++) {
            struct msghdr *given = &messages[i].msg_hdr, whole;
            memset(&whole, 0, sizeof whole);
            whole.msg_name = given->msg_name;
            whole.msg_namelen = given->msg_namelen;
            whole.msg_iov = given->msg_iov;
            whole.msg_iovlen = given->msg_iovlen;
            whole.msg_control = given->msg_control;
            whole.msg_controllen = given->msg_controllen;
            memcpy(given, &whole, sizeof whole);
        }
    #endif
        return (int) syscall(SYS_sendmmsg, fd, messages, count, flags);
    }
    """
    int sendmmsg_by_number(int fd, mmsghdr* messages, unsigned int count, int flags) nogil
