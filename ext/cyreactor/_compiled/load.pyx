"""The load generator of ``python -m cyreactor compare``: asks, waits for the answer, and asks again.

It runs in a process of its own and without the GIL, so that what is measured is the server. A flow
has one request under way at a time. Descriptors are watched edge-triggered and registered once: a
read that came back short has taken all there was but the end.

Latencies are counted in buckets 1.6 % wide at most: below 128 ns each its own, above it 64 for
every doubling.
"""

import os

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.errno cimport EAGAIN, EINPROGRESS, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from .syscalls cimport *

cdef extern from "time.h" nogil:
    int CLOCK_THREAD_CPUTIME_ID

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP, IPPROTO_IP

cdef extern from "netinet/tcp.h" nogil:
    int TCP_NODELAY

cdef extern from "sys/socket.h" nogil:
    int SOCK_STREAM, SOCK_DGRAM, SOL_SOCKET, SO_ERROR, SO_RCVBUF
    int socket(int family, int type, int protocol)
    int connect(int fd, const sockaddr* address, socklen_t size)
    int bind(int fd, const sockaddr* address, socklen_t size)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)

cdef extern from "sys/ioctl.h" nogil:
    unsigned long FIONBIO
    int ioctl(int fd, unsigned long request, ...)

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #ifndef IP_BIND_ADDRESS_NO_PORT
    #define IP_BIND_ADDRESS_NO_PORT 24
    #endif
    static inline int highest_bit(unsigned long long value) { return 63 - __builtin_clzll(value); }
    """
    int IP_BIND_ADDRESS_NO_PORT
    int highest_bit(uint64_t value)

cdef enum:
    EVENTS = 256
    DIRECT = 128             # latencies below have a bucket each
    PER_DOUBLING = 64
    BUCKETS = 2432           # up to a quarter of an hour
    DATAGRAM = 2048          # bytes of a datagram's answer, at most
    RECEIVE_BUFFER = 1024 * 1024
    SILENCE = 200            # milliseconds after which a datagram is lost

cdef uint32_t ENDED = EPOLLERR | EPOLLHUP | EPOLLRDHUP   # after which a read does not wait
cdef uint32_t LOOPBACK = 0x7f000001
cdef uint32_t SOURCES = 0x7f010000   # 127.1.0.0 and the addresses after it
cdef uint32_t SOURCE_COUNT = 60000


cdef class Load:
    """Asks on many flows at once; what a flow is, the subclasses say.

    Raises OSError where a connection cannot be had.
    """

    def __cinit__(self, *args, **kwargs):
        self.epoll = -1

    def __init__(self, int port, int count, bytes request):
        cdef int index
        self.kept = request
        self.request = request
        self.size = len(request)
        self.flows = <Flow*> PyMem_Calloc(count, sizeof(Flow))
        self.events = <epoll_event*> PyMem_Calloc(EVENTS, sizeof(epoll_event))
        self.scratch = <char*> PyMem_Calloc(SCRATCH, 1)
        self.histogram = <uint64_t*> PyMem_Calloc(BUCKETS, sizeof(uint64_t))
        if not (self.flows and self.events and self.scratch and self.histogram):
            raise MemoryError
        self.count = count
        for index in range(count):
            self.flows[index].fd = -1
        memset(&self.server, 0, sizeof(self.server))
        self.server.sin_family = AF_INET
        self.server.sin_port = htons(port)
        (<uint32_t*> &self.server.sin_addr)[0] = htonl(LOOPBACK)
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        close_flows(self)
        PyMem_Free(self.flows)
        PyMem_Free(self.events)
        PyMem_Free(self.scratch)
        PyMem_Free(self.histogram)

    def close(self):
        """Give the descriptors back."""
        close_flows(self)

    def run(self, double seconds, double patience=5.0):
        """Ask for so many seconds, then wait for the answers under way.

        Returns the requests answered in that time and all that were answered, the datagrams lost, the
        CPU seconds used here, and the histogram of latencies. Raises ConnectionError where a server
        breaks off or says what was not expected, TimeoutError where it is silent for ``patience`` seconds,
        or as much later has not answered everything.
        """
        cdef int64_t before
        cdef int status
        if self.epoll < 0:
            raise ValueError("the load generator is closed")
        memset(self.histogram, 0, BUCKETS * sizeof(uint64_t))
        self.completed = self.total = self.lost = 0
        before = clock(CLOCK_THREAD_CPUTIME_ID)
        with nogil:
            status = self.measure(<int64_t> (seconds * 1e9), <int64_t> (patience * 1e9))
        if status < 0:
            reason = self.trouble.decode()
            if self.number:
                reason = f"{reason}: {os.strerror(self.number)}"
            raise (TimeoutError if self.trouble in (SILENT, SLOW) else ConnectionError)(reason)
        cpu = (clock(CLOCK_THREAD_CPUTIME_ID) - before) / 1e9
        return self.completed, self.total, self.lost, cpu, [self.histogram[i] for i in range(BUCKETS)]

    cdef int measure(self, int64_t length, int64_t patience) noexcept nogil:
        cdef int64_t time = clock(CLOCK_MONOTONIC)
        cdef int64_t heard = time
        cdef int ready, index
        self.end = time + length
        self.pending = 0
        for index in range(self.count):
            self.pending += 1
            if self.begin(&self.flows[index], time) < 0:
                return -1
        while self.pending:
            ready = epoll_wait(self.epoll, self.events, EVENTS, SILENCE)
            if ready < 0 and errno != EINTR:
                return self.fail("epoll_wait", errno)
            if ready <= 0:
                if clock(CLOCK_MONOTONIC) - heard > patience:
                    return self.fail(SILENT, 0)
                if self.on_silence() < 0:
                    return -1
                continue
            for index in range(ready):
                if self.on_ready(&self.flows[self.events[index].data.u64], self.events[index].events) < 0:
                    return -1
            heard = clock(CLOCK_MONOTONIC)
            if heard > self.end + patience:
                return self.fail(SLOW, 0)
        return 0

    cdef int begin(self, Flow* flow, int64_t time) noexcept nogil:
        """Send the next request."""
        return 0

    cdef int on_ready(self, Flow* flow, uint32_t events) noexcept nogil:
        return 0

    cdef int on_silence(self) noexcept nogil:
        """Nothing came for SILENCE milliseconds."""
        return 0

    cdef int complete(self, Flow* flow) noexcept nogil:
        """The answer is there: count it, and ask again unless the time is over."""
        cdef int64_t time = clock(CLOCK_MONOTONIC)
        self.histogram[bucket_of(time - flow.started)] += 1
        self.total += 1
        flow.waiting = False
        if time < self.end:
            self.completed += 1
            return self.begin(flow, time)
        self.pending -= 1
        return 0

    cdef int watch(self, Flow* flow) noexcept nogil:
        cdef epoll_event event
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        event.data.u64 = <uint64_t> (flow - self.flows)
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, flow.fd, &event) < 0:
            return self.fail("epoll_ctl", errno)
        return 0

    cdef int fail(self, const char* trouble, int number) noexcept nogil:
        self.trouble, self.number = trouble, number
        return -1


cdef class StreamLoad(Load):
    """TCP connections; with ``reconnect`` a new one for each request, closed after the answer.

    ``answer`` is the number of bytes that answer a request; which ones does not matter.
    """

    def __init__(self, int port, int count, bytes request, Py_ssize_t answer, bint reconnect=False):
        cdef int index
        super().__init__(port, count, request)
        self.answer, self.reconnect = answer, reconnect
        if reconnect:
            return
        for index in range(count):
            if open_stream(self, &self.flows[index], 0) < 0 or self.watch(&self.flows[index]) < 0:
                raise OSError(self.number, f"{self.trouble.decode()}: {os.strerror(self.number)}")

    cdef int begin(self, Flow* flow, int64_t time) noexcept nogil:
        flow.started, flow.missing, flow.waiting = time, self.answer, True
        if self.seal(flow) < 0:
            return -1
        if not self.reconnect:
            return self.transmit(flow)
        if open_stream(self, flow, SOCK_NONBLOCK) < 0:
            return -1
        return self.watch(flow)

    cdef int on_ready(self, Flow* flow, uint32_t events) noexcept nogil:
        cdef int problem = 0
        cdef socklen_t size = sizeof(problem)
        if flow.waiting and flow.left and events & (EPOLLOUT | ENDED):
            if self.reconnect and flow.left == self.size:
                getsockopt(flow.fd, SOL_SOCKET, SO_ERROR, &problem, &size)
                if problem:
                    return self.fail("connect", problem)
            if self.transmit(flow) < 0:
                return -1
        if events & (EPOLLIN | ENDED):
            return self.receive(flow, events & ENDED)
        return 0

    cdef int seal(self, Flow* flow) noexcept nogil:
        """What leaves for the next request."""
        flow.next, flow.left = self.request, self.size
        return 0

    cdef Py_ssize_t unseal(self, Flow* flow, Py_ssize_t size) noexcept nogil:
        """How much of an answer so many bytes in `scratch` are."""
        return size

    cdef int transmit(self, Flow* flow) noexcept nogil:
        cdef Py_ssize_t count
        while flow.left:
            count = send(flow.fd, flow.next, flow.left, MSG_NOSIGNAL)
            if count < 0:
                return 0 if errno == EAGAIN else self.fail("send", errno)
            flow.next += count
            flow.left -= count
        return 0

    cdef int receive(self, Flow* flow, uint32_t ended) noexcept nogil:
        cdef Py_ssize_t count, more
        while True:
            count = recv(flow.fd, self.scratch, SCRATCH, 0)
            if count < 0:
                return 0 if errno == EAGAIN else self.fail("recv", errno)
            if count == 0:
                return self.fail("the server closed a connection", 0)
            more = self.unseal(flow, count)
            if more < 0:
                return -1
            flow.missing -= more
            if flow.missing < 0:
                return self.fail("the server answers more than was expected", 0)
            if flow.waiting and flow.missing == 0 and flow.left == 0:
                if self.reconnect:
                    close(flow.fd)
                    flow.fd = -1
                    return self.complete(flow)
                if self.complete(flow) < 0:
                    return -1
            if count < SCRATCH and not ended:
                return 0


cdef class DatagramLoad(Load):
    """UDP flows; a request is ``burst`` equal datagrams, its answer as many."""

    def __init__(self, int port, int count, bytes request, int burst):
        cdef int index
        super().__init__(port, count, request)
        self.burst = burst = min(burst, SCRATCH // DATAGRAM)
        self.outgoing = <mmsghdr*> PyMem_Calloc(burst, sizeof(mmsghdr))
        self.incoming = <mmsghdr*> PyMem_Calloc(burst, sizeof(mmsghdr))
        self.pieces = <iovec*> PyMem_Calloc(burst + 1, sizeof(iovec))
        if not (self.outgoing and self.incoming and self.pieces):
            raise MemoryError
        self.pieces[0].iov_base, self.pieces[0].iov_len = <char*> self.request, self.size
        for index in range(burst):
            self.pieces[index + 1].iov_base = self.scratch + index * DATAGRAM
            self.pieces[index + 1].iov_len = DATAGRAM
            self.outgoing[index].msg_hdr.msg_iov = &self.pieces[0]
            self.incoming[index].msg_hdr.msg_iov = &self.pieces[index + 1]
            self.outgoing[index].msg_hdr.msg_iovlen = self.incoming[index].msg_hdr.msg_iovlen = 1
        for index in range(count):
            if open_datagram(self, &self.flows[index]) < 0 or self.watch(&self.flows[index]) < 0:
                raise OSError(self.number, f"{self.trouble.decode()}: {os.strerror(self.number)}")

    def __dealloc__(self):
        PyMem_Free(self.outgoing)
        PyMem_Free(self.incoming)
        PyMem_Free(self.pieces)

    cdef int begin(self, Flow* flow, int64_t time) noexcept nogil:
        flow.started, flow.missing, flow.waiting = time, self.burst, True
        cdef int sent = sendmmsg_by_number(flow.fd, self.outgoing, self.burst, MSG_NOSIGNAL)
        if sent < 0 and errno != EAGAIN:
            return self.fail("send", errno)
        if sent < self.burst:  # the kernel is full: what it did not take is lost
            self.lost += self.burst - max(sent, 0)
            flow.missing = max(sent, 1)
        return 0

    cdef int on_ready(self, Flow* flow, uint32_t events) noexcept nogil:
        cdef int count
        while events & (EPOLLIN | EPOLLERR):
            count = recvmmsg(flow.fd, self.incoming, self.burst, 0, NULL)
            if count < 0:
                return 0 if errno == EAGAIN else self.fail("recv", errno)
            flow.missing -= count
            if flow.waiting and flow.missing <= 0 and self.complete(flow) < 0:
                return -1
            if count < self.burst:
                return 0
        return 0

    cdef int on_silence(self) noexcept nogil:
        """What did not come is lost; the flow goes on."""
        cdef int64_t time = clock(CLOCK_MONOTONIC)
        cdef int index
        for index in range(self.count):
            if not self.flows[index].waiting:
                continue
            self.lost += self.flows[index].missing
            self.flows[index].waiting = False
            if time >= self.end:
                self.pending -= 1
            elif self.begin(&self.flows[index], time) < 0:
                return -1
        return 0


cdef const char* SILENT = "the server does not answer"
cdef const char* SLOW = "the server is too slow"


cdef int64_t clock(int which) noexcept nogil:
    cdef timespec time
    clock_gettime(which, &time)
    return <int64_t> time.tv_sec * 1000000000 + time.tv_nsec


cdef Py_ssize_t bucket_of(int64_t latency) noexcept nogil:
    cdef int shift
    if latency < DIRECT:
        return max(latency, 0)
    shift = highest_bit(latency) - 6
    return min(DIRECT + (shift - 1) * PER_DOUBLING + (latency >> shift) - PER_DOUBLING, BUCKETS - 1)


cdef int open_stream(StreamLoad load, Flow* flow, int flags) noexcept nogil:
    """A connection, with ``SOCK_NONBLOCK`` one that is under way.

    Those for one request each come from ever other addresses of this machine: a closed connection keeps
    its pair of addresses for a minute, and those of one address would soon be used up.
    """
    cdef int one = 1
    cdef sockaddr_in source
    flow.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)
    if flow.fd < 0:
        return load.fail("socket", errno)
    setsockopt(flow.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if flags:
        memset(&source, 0, sizeof(source))
        source.sin_family = AF_INET
        load.sources = (load.sources + 1) % SOURCE_COUNT
        (<uint32_t*> &source.sin_addr)[0] = htonl(
            SOURCES + (load.sources // 250) * 256 + 1 + load.sources % 250
        )
        setsockopt(flow.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
        bind(flow.fd, <sockaddr*> &source, sizeof(source))
    if connect(flow.fd, <sockaddr*> &load.server, sizeof(load.server)) < 0 and errno != EINPROGRESS:
        return load.fail("connect", errno)
    return 0 if flags else set_nonblocking(load, flow.fd)


cdef int open_datagram(DatagramLoad load, Flow* flow) noexcept nogil:
    cdef int room = RECEIVE_BUFFER
    flow.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    if flow.fd < 0:
        return load.fail("socket", errno)
    setsockopt(flow.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room))
    if connect(flow.fd, <sockaddr*> &load.server, sizeof(load.server)) < 0:
        return load.fail("connect", errno)
    return 0


cdef int set_nonblocking(Load load, int fd) noexcept nogil:
    cdef int yes = 1
    if ioctl(fd, FIONBIO, &yes) < 0:  # fcntl would ask for a glibc of 2018
        return load.fail("ioctl", errno)
    return 0


cdef int close_flows(Load load) noexcept:
    cdef int index
    for index in range(load.count):
        if load.flows != NULL and load.flows[index].fd >= 0:
            close(load.flows[index].fd)
            load.flows[index].fd = -1
    if load.epoll >= 0:
        close(load.epoll)
        load.epoll = -1
    return 0
