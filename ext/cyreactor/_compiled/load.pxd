# A load generator's side of the connections that it asks on.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .syscalls cimport epoll_event, mmsghdr, sockaddr_in, iovec


cdef enum:
    SCRATCH = 256 * 1024


cdef struct Flow:
    int fd                           # -1 while there is no connection
    bint waiting                     # for an answer, or for a connection
    const char* next                 # of the request, what the kernel did not take yet
    Py_ssize_t left                  # bytes of that
    Py_ssize_t missing               # bytes, or datagrams, of the answer that did not come yet
    int64_t started                  # when the request began, in nanoseconds


cdef class Load:
    cdef int epoll
    cdef int count                   # of the flows
    cdef Flow* flows
    cdef epoll_event* events
    cdef char* scratch               # where answers go, to be counted only
    cdef uint64_t* histogram         # of latencies, see `bucket_of`
    cdef bytes kept                  # the request, which `request` points into
    cdef const char* request
    cdef Py_ssize_t size             # of the request
    cdef sockaddr_in server
    cdef int64_t end                 # of the measurement: what is answered later is not counted
    cdef int64_t completed           # requests answered before the end
    cdef int64_t total               # requests answered
    cdef int64_t lost                # datagrams that never came
    cdef int pending                 # flows that wait
    cdef const char* trouble         # why the measurement failed,
    cdef int number                  # and the kernel's reason, or 0

    cdef int measure(self, int64_t length, int64_t patience) noexcept nogil
    cdef int begin(self, Flow* flow, int64_t time) noexcept nogil
    cdef int on_ready(self, Flow* flow, uint32_t events) noexcept nogil
    cdef int on_silence(self) noexcept nogil
    cdef int complete(self, Flow* flow) noexcept nogil
    cdef int watch(self, Flow* flow) noexcept nogil
    cdef int fail(self, const char* trouble, int number) noexcept nogil


cdef class StreamLoad(Load):
    cdef Py_ssize_t answer           # bytes that answer a request
    cdef bint reconnect              # a connection for each request
    cdef uint32_t sources            # connections so far: each is from another address

    cdef int seal(self, Flow* flow) noexcept nogil
    cdef Py_ssize_t unseal(self, Flow* flow, Py_ssize_t size) noexcept nogil
    cdef int transmit(self, Flow* flow) noexcept nogil
    cdef int receive(self, Flow* flow, uint32_t ended) noexcept nogil


cdef class DatagramLoad(Load):
    cdef int burst                   # datagrams of a request
    cdef mmsghdr* outgoing
    cdef mmsghdr* incoming
    cdef iovec* pieces               # the request, then a place for each answer
