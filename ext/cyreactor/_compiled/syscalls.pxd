# The system calls of the hot path: extern declarations only.

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "sys/epoll.h" nogil:
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLET
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
        iovec* msg_iov
        size_t msg_iovlen
    int MSG_NOSIGNAL, SOCK_NONBLOCK, SOCK_CLOEXEC, SHUT_WR
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int shutdown(int fd, int how)

cdef extern from "unistd.h" nogil:
    int close(int fd)
    Py_ssize_t write(int fd, const void* buffer, size_t size)

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)

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
    /* By number: glibc knows the name only since 2.35, the kernel the call since 5.11. */
    static inline int epoll_pwait2_by_number(int epoll, struct epoll_event *events, int size,
                                      const struct timespec *timeout) {
        return (int) syscall(SYS_epoll_pwait2, epoll, events, size, timeout, NULL, (size_t) 0);
    }
    """
    int epoll_pwait2_by_number(int epoll, epoll_event* events, int size, const timespec* timeout) nogil
