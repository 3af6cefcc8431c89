"""Datagrams: UDP over IPv4 and IPv6, and Unix datagram sockets.

Receiving. One system call takes what has come, up to a bound. What the kernel has merged for a socket with
UDP_GRO is cut again: a protocol never sees it.

Sending. What the callbacks of a dispatch answered leaves in one system call at its end. From elsewhere (a
task, a timer) the first datagram of an iteration leaves at once, and what follows is held for the flush just
before the wait. Consecutive datagrams of one size to the same peer are one message, which the kernel or the
network card cuts (UDP_SEGMENT): measured to pay from two on, over the loopback and over a veth.

Errors of the network (ICMP, a full neighbour table) are `error_received`, and what the program's own callback
raises is no end of the endpoint: other peers have done nothing wrong.
"""

import asyncio

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.errno cimport EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP, errno
from libc.stdint cimport uint16_t
from libc.string cimport memcmp, memcpy, memset

from .addresses cimport from_sockaddr, to_sockaddr
from .endpoint cimport CLOSED, CLOSING, OPEN, Endpoint, as_bytes, os_error
from .poller cimport Poller
from .syscalls cimport *

from cyreactor import limits

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef int PER_WAKEUP = min(BATCH, limits.DATAGRAMS_PER_WAKEUP)
cdef int MERGED_PER_WAKEUP = min(BATCH, limits.MERGED_PER_WAKEUP)
cdef Py_ssize_t DATAGRAM_SIZE = limits.DATAGRAM_SIZE
cdef Py_ssize_t OVERHEAD = limits.DATAGRAM_OVERHEAD
cdef int SEGMENTS = limits.SEGMENTS_PER_MESSAGE
cdef Py_ssize_t SEGMENTED_SIZE = limits.SEGMENTED_SIZE

# What has left is kept in the queue's list up to so many, and up to half of it: cutting off the front costs
# as much as what stays is long.
cdef Py_ssize_t LEFT_IN_QUEUE = 1024


class Kind(asyncio.DatagramTransport, asyncio.Transport):
    """What asyncio's own datagram transports are instances of."""


cdef class Arena:
    """What a wake-up reads into, and the headers for it: one for all endpoints of a poller."""

    def __cinit__(self):
        cdef msghdr* header
        cdef int i
        self.memory = <char*> PyMem_Malloc(BATCH * DATAGRAM_SIZE)
        if self.memory == NULL:
            raise MemoryError
        for i in range(BATCH):
            self.pieces[i].iov_base, self.pieces[i].iov_len = self.memory + i * DATAGRAM_SIZE, DATAGRAM_SIZE
            header = &self.messages[i].msg_hdr
            header.msg_iov, header.msg_iovlen = &self.pieces[i], 1
            header.msg_name = &self.peers[i]
            header.msg_control = self.controls[i]

    def __dealloc__(self):
        PyMem_Free(self.memory)

    cdef int receive(self, int fd, int most, size_t room) noexcept:
        """One system call for what has come; how many messages, or -1 and errno."""
        cdef int i
        for i in range(most):
            self.messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
            self.messages[i].msg_hdr.msg_controllen = room
        return recvmmsg(fd, self.messages, most, 0, NULL)


cdef class Datagram(Endpoint):
    """The compiled half of a datagram transport; ``cyreactor.transport`` adds the rare paths."""

    def __cinit__(self, loop, sock, protocol, address=None, *args, **kwargs):
        self.family = sock.family
        self.most = PER_WAKEUP
        self.queue = []
        self.written = self.poller.iteration - 1
        self.segmenting = NEVER if self.family == AF_UNIX else UNKNOWN

    def __init__(self, loop, sock, protocol, address=None):
        self._address = address
        self.set_protocol(protocol)

    @property
    def __class__(self):
        """Programs ask ``isinstance(transport, asyncio.DatagramTransport)``, and asyncio.Transport."""
        return Kind

    def set_protocol(self, protocol):
        """Hand what arrives from now on to another protocol."""
        self.protocol = protocol
        # Of its class: a mock, and a proxy, has whatever it is asked for.
        self.batches = hasattr(type(protocol), "datagrams_received")

    # --- receiving ---

    cdef int read(self) except -1:
        cdef Arena arena = arena_of(self.poller)
        # None on a Unix socket, on which it would be descriptors.
        cdef size_t room = 0 if self.family == AF_UNIX else sizeof(arena.controls[0])
        cdef int i, count = arena.receive(self.fd, self.most, room)
        if count < 0:
            if errno == EAGAIN or errno == EINTR:
                return 0
            return self.report_error(os_error(errno))
        # All of them first: a callback may use the arena again.
        arrivals = []
        self.most = PER_WAKEUP
        for i in range(count):
            self.unpack(arena, i, arrivals)
        return self.deliver(arrivals)

    cdef int unpack(self, Arena arena, int index, list arrivals) except -1:
        """Append the datagrams of a message, or None for one that was cut off."""
        cdef mmsghdr* message = &arena.messages[index]
        cdef char* data = <char*> arena.pieces[index].iov_base
        cdef Py_ssize_t size = message.msg_len, segment = size
        if message.msg_hdr.msg_flags & MSG_TRUNC:
            arrivals.append(None)
            return 0
        if message.msg_hdr.msg_controllen:
            segment = merged_size(&message.msg_hdr) or size
        if segment < size:
            self.most = MERGED_PER_WAKEUP
        address = self.peer_of(<char*> &arena.peers[index], message.msg_hdr.msg_namelen)
        while size > segment:
            arrivals.append((PyBytes_FromStringAndSize(data, segment), address))
            data += segment
            size -= segment
        arrivals.append((PyBytes_FromStringAndSize(data, size), address))
        return 0

    cdef object peer_of(self, const char* raw, Py_ssize_t size):
        """Python's address; a peer often sends several times in a row."""
        if self.peer_raw is None or PyBytes_GET_SIZE(self.peer_raw) != size or (
            memcmp(PyBytes_AS_STRING(self.peer_raw), raw, size) != 0
        ):
            self.peer = from_sockaddr(raw, size)
            self.peer_raw = raw[:size]
        return self.peer

    cdef int deliver(self, list arrivals) except -1:
        cdef Py_ssize_t at = 0, end, count = PyList_GET_SIZE(arrivals)
        while at < count and self.state == OPEN:
            arrival = <object> PyList_GET_ITEM(arrivals, at)
            end = at + 1
            if arrival is None:
                self.report_error(os_error(EMSGSIZE))
            elif self.batches:
                end = end_of_whole(arrivals, at)
                self.hand_over_list(arrivals if end - at == count else arrivals[at:end])
            else:
                self.hand_over(<tuple> arrival)
            at = end
        return 0

    cdef int hand_over(self, tuple arrival) except -1:
        data = <object> PyTuple_GET_ITEM(arrival, 0)
        address = <object> PyTuple_GET_ITEM(arrival, 1)
        try:
            self.protocol.datagram_received(data, address)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.datagram_received() failed")
        return 0

    cdef int hand_over_list(self, list arrivals) except -1:
        try:
            self.protocol.datagrams_received(arrivals)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.datagrams_received() failed")
        return 0

    cdef int report_error(self, exc) except -1:
        try:
            self.protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self._report(failure, "protocol.error_received() failed")
        return 0

    # --- sending ---

    def sendto(self, data, addr=None):
        """Send a datagram, empty ones too; never blocks unless ``addr`` names a host that must be looked up.

        ``addr`` may be left out where the socket is connected. What the network says against it comes
        to ``error_received``; raises TypeError and ValueError for what is no datagram or no address.
        """
        cdef bytes piece = data if type(data) is bytes else as_bytes(data)
        target = self.target(addr)
        if not self.writable():
            self._write_lost()
        elif type(target) is list:
            self.send_named(piece, <list> target)
        elif self.queued == 0 and not self.holds():
            self.send_now(piece, target)
        else:
            self.enqueue(piece, target)
            self.after_write()

    cdef bint writable(self) noexcept:
        """As asyncio: where nobody is connected, a datagram leaves for as long as there is a socket."""
        return self.state < CLOSED if self._address is None else Endpoint.writable(self)

    cdef bint holds(self) noexcept:
        """Whether a datagram waits for the end of the dispatch, or for the flush before the wait."""
        if self.dispatching:
            return True
        if self.written == self.poller.iteration:
            return self.state == OPEN
        self.written = self.poller.iteration
        return False

    cdef int after_write(self) except -1:
        """Something was queued: see that it leaves, and that it does not pile up."""
        if not self.full and (self.queued > self.high or self.state != OPEN and not self.dispatching):
            self.send_queued()
        elif not self.full and not self.dispatching:
            self.hold()
        return self.throttle()

    cdef int enqueue(self, bytes piece, target) except -1:
        self.queue.append((piece, target))
        self.queued += PyBytes_GET_SIZE(piece) + OVERHEAD
        return 0

    cdef int put_back(self, bytes piece, target) except -1:
        """The kernel has no room: the first of the queue waits for it, if anybody waits at all."""
        if self.state > CLOSING:
            return 0  # a datagram may be lost
        self.queue.insert(self.head, (piece, target))
        self.queued += PyBytes_GET_SIZE(piece) + OVERHEAD
        self.full = True
        return self.want()

    cdef int send_now(self, bytes piece, object raw) except -1:
        cdef sockaddr* address = NULL if raw is None else <sockaddr*> PyBytes_AS_STRING(raw)
        cdef socklen_t length = 0 if raw is None else PyBytes_GET_SIZE(raw)
        if sendto(
            self.fd, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece), MSG_NOSIGNAL, address, length
        ) >= 0:
            return 0
        if errno != EAGAIN and errno != EINTR:
            return self.report_error(os_error(errno))
        self.put_back(piece, raw)
        return self.throttle()

    cdef int send_named(self, bytes piece, list target) except -1:
        """Send to an address that only Python understands, and have it raise what is wrong with it here."""
        if self.queued and not self.full:
            self.send_queued()
        if self.queued:
            self.enqueue(piece, target)
        else:
            self.send_one(piece, target[0])
        return self.throttle()

    cdef int send_one(self, bytes piece, address) except -1:
        """Send to an address that only Python understands: a name, an abstract path."""
        try:
            self._socket().sendto(piece, address)
        except BlockingIOError:
            self.put_back(piece, [address])
        except OSError as exc:
            self.report_error(exc)
        return 0

    cdef int send_slowly(self) except -1:
        piece, target = self.queue[self.head]
        self.drop(1)
        try:
            self.send_one(piece, (<list> target)[0])
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "sendto() failed")
        return 0

    cdef object target(self, address):
        if self._address is not None:
            if address is not None and address != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}")
            return None
        if address is None:
            raise ValueError("sendto() needs an address: the socket is not connected")
        if address is not self.known:
            raw = to_sockaddr(self.family, address)
            if raw is None:
                return [address]
            self.known_raw, self.known = raw, address
        return self.known_raw

    cdef int send_queued(self) except -1:
        cdef Outgoing outgoing
        cdef int count
        while self.queued and not self.full:
            outgoing.count = outgoing.used = 0
            while self.add_message(&outgoing, PyList_GET_SIZE(self.queue) - self.head):
                pass
            if outgoing.count == 0:
                self.send_slowly()
                continue
            count = self.transmit(&outgoing)
            if count > 0:
                self.drop(total(outgoing.runs, count))
            else:
                self.send_failed(errno, outgoing.runs[0] > 1)
        return self.drained()

    cdef int transmit(self, Outgoing* outgoing) noexcept:
        """One system call; how many messages left, or -1 and errno."""
        cdef msghdr* header = &outgoing.messages[0].msg_hdr
        if outgoing.used > 1:
            return sendmmsg_by_number(self.fd, outgoing.messages, outgoing.count, MSG_NOSIGNAL)
        # A twentieth cheaper for one.
        if sendto(
            self.fd, header.msg_iov.iov_base, header.msg_iov.iov_len, MSG_NOSIGNAL,
            <sockaddr*> header.msg_name, header.msg_namelen
        ) < 0:
            return -1
        return 1

    cdef int send_failed(self, int error, bint merged) except -1:
        """The first message of the queue was refused, as a whole."""
        if error == EAGAIN and self.state > CLOSING:
            self.drop(PyList_GET_SIZE(self.queue) - self.head)  # nobody waits; a datagram may be lost
        elif error == EAGAIN:
            self.full = True
            self.want()
        elif merged and error in (EINVAL, EIO, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP):
            self.segmenting = NEVER  # they are too large for the way, or this one is not for it: one by one
        elif error != EINTR:
            exc = os_error(error)
            self.drop(1)
            self.report_error(exc)
        return 0

    cdef bint add_message(self, Outgoing* outgoing, Py_ssize_t waiting) noexcept:
        """Make a message of what comes next in the queue; false where none fits, or only Python can."""
        if outgoing.count == BATCH or outgoing.used == min(waiting, PIECES):
            return False
        raw = <object> PyTuple_GET_ITEM(<object> PyList_GET_ITEM(self.queue, self.head + outgoing.used), 1)
        if type(raw) is list:
            return False
        cdef msghdr* header = &outgoing.messages[outgoing.count].msg_hdr
        header.msg_name = NULL if raw is None else PyBytes_AS_STRING(raw)
        header.msg_namelen = 0 if raw is None else PyBytes_GET_SIZE(raw)
        header.msg_iov = &outgoing.pieces[outgoing.used]
        header.msg_control, header.msg_controllen = NULL, 0
        header.msg_flags = 0
        cdef int run = self.extend(outgoing, min(waiting, PIECES))
        header.msg_iovlen = outgoing.runs[outgoing.count] = run
        if run > 1:
            say_segment(header, outgoing.controls[outgoing.count])
        outgoing.count += 1
        return True

    cdef int extend(self, Outgoing* outgoing, Py_ssize_t waiting) noexcept:
        """Add pieces to a message: one, and those after it that may leave with it; how many."""
        cdef tuple first = <tuple> PyList_GET_ITEM(self.queue, self.head + outgoing.used)
        cdef tuple other = first
        cdef Py_ssize_t size = PyBytes_GET_SIZE(<object> PyTuple_GET_ITEM(first, 0)), last = size, bulk = 0
        cdef int run = 0
        while True:
            outgoing.pieces[outgoing.used].iov_base = PyBytes_AS_STRING(<object> PyTuple_GET_ITEM(other, 0))
            outgoing.pieces[outgoing.used].iov_len = last
            outgoing.used += 1
            run += 1
            bulk += last
            if last != size or run == SEGMENTS or outgoing.used == waiting:
                return run
            other = <tuple> PyList_GET_ITEM(self.queue, self.head + outgoing.used)
            last = PyBytes_GET_SIZE(<object> PyTuple_GET_ITEM(other, 0))
            if not 0 < last <= size or bulk + last > SEGMENTED_SIZE:
                return run
            if not (same_peer(first, other) and self.may_segment()):
                return run

    cdef bint may_segment(self) noexcept:
        """Whether the kernel would cut a message: it is asked once, when that could be of use."""
        cdef int set_already = 0
        cdef socklen_t size = sizeof(set_already)
        if self.segmenting == UNKNOWN:
            self.segmenting = NEVER
            if getsockopt(self.fd, IPPROTO_UDP, UDP_SEGMENT, &set_already, &size) == 0 and not set_already:
                self.segmenting = READY
        return self.segmenting == READY

    cdef int drop(self, Py_ssize_t count) except -1:
        cdef Py_ssize_t i, end = self.head + count
        for i in range(self.head, end):
            piece = <object> PyTuple_GET_ITEM(<object> PyList_GET_ITEM(self.queue, i), 0)
            self.queued -= PyBytes_GET_SIZE(piece) + OVERHEAD
        self.head = end
        if self.queued == 0:
            self.forget_queue()
        elif end >= LEFT_IN_QUEUE and 2 * end >= PyList_GET_SIZE(self.queue):
            self.head = 0
            del self.queue[:end]
        return 0

    cdef int forget_queue(self) except -1:
        self.head = 0
        self.queue.clear()
        return 0


cdef Arena arena_of(Poller poller):
    if poller.arena is None:
        poller.arena = Arena()
    return <Arena> poller.arena


cdef Py_ssize_t merged_size(msghdr* header) noexcept:
    """The size of the datagrams that the kernel merged into a message; 0 where it is one."""
    cdef int size
    cdef cmsghdr* control = CMSG_FIRSTHDR(header)
    while control != NULL:
        if control.cmsg_level == IPPROTO_UDP and control.cmsg_type == UDP_GRO:
            memcpy(&size, CMSG_DATA(control), sizeof(size))
            return size
        control = CMSG_NXTHDR(header, control)
    return 0


cdef int say_segment(msghdr* header, void* room) noexcept:
    """Have the kernel cut a message into datagrams as long as its first piece."""
    cdef uint16_t size = header.msg_iov.iov_len
    cdef cmsghdr* control = <cmsghdr*> room
    memset(control, 0, sizeof(cmsghdr))  # its length may be half of the kernel's, see sendmmsg_by_number
    control.cmsg_level, control.cmsg_type = IPPROTO_UDP, UDP_SEGMENT
    control.cmsg_len = CMSG_LEN(sizeof(size))
    memcpy(CMSG_DATA(control), &size, sizeof(size))
    header.msg_control, header.msg_controllen = room, CMSG_SPACE(sizeof(size))
    return 0


cdef bint same_peer(tuple first, tuple other) noexcept:
    cdef object one = <object> PyTuple_GET_ITEM(first, 1)
    cdef object two = <object> PyTuple_GET_ITEM(other, 1)
    if one is two:
        return True
    if not (PyBytes_CheckExact(one) and PyBytes_CheckExact(two)):
        return False
    cdef Py_ssize_t size = PyBytes_GET_SIZE(one)
    return size == PyBytes_GET_SIZE(two) and memcmp(PyBytes_AS_STRING(one), PyBytes_AS_STRING(two), size) == 0


cdef Py_ssize_t end_of_whole(list arrivals, Py_ssize_t start) noexcept:
    """The first arrival from there on that was cut off, or the end."""
    while start < PyList_GET_SIZE(arrivals) and <object> PyList_GET_ITEM(arrivals, start) is not None:
        start += 1
    return start


cdef Py_ssize_t total(int* runs, int count) noexcept:
    cdef Py_ssize_t sum = 0
    cdef int i
    for i in range(count):
        sum += runs[i]
    return sum
