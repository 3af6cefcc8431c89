"""Datagrams: UDP over IPv4 and IPv6, and Unix datagram sockets.

One system call receives what has come, up to a bound; one sends what the callbacks of a dispatch
answered. Errors of the network (ICMP, a full neighbour table) are `error_received`, and what the
program's own callback raises is no end of the endpoint: other peers have done nothing wrong.
"""

import asyncio

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, EMSGSIZE, errno
from libc.string cimport memcmp, memset

from .addresses cimport from_sockaddr, to_sockaddr
from .endpoint cimport CLOSED, CLOSING, OPEN, Endpoint, as_bytes, os_error
from .syscalls cimport *

from cyreactor import limits

cdef enum:
    BATCH = 16

cdef int PER_WAKEUP = min(BATCH, limits.DATAGRAMS_PER_WAKEUP)
cdef Py_ssize_t DATAGRAM_SIZE = limits.DATAGRAM_SIZE
cdef Py_ssize_t OVERHEAD = limits.DATAGRAM_OVERHEAD


class Kind(asyncio.DatagramTransport, asyncio.Transport):
    """What asyncio's own datagram transports are instances of."""


cdef class Datagram(Endpoint):
    """The compiled half of a datagram transport; ``cyreactor.transport`` adds the rare paths."""

    def __cinit__(self, loop, sock, protocol, address=None, *args, **kwargs):
        self.family = sock.family
        self.queue = []

    def __init__(self, loop, sock, protocol, address=None):
        self.protocol = protocol
        self._address = address

    @property
    def __class__(self):
        """Programs ask ``isinstance(transport, asyncio.DatagramTransport)``, and asyncio.Transport."""
        return Kind

    # --- receiving ---

    cdef int read(self) except -1:
        cdef mmsghdr messages[BATCH]
        cdef iovec pieces[BATCH]
        cdef sockaddr_storage peers[BATCH]
        cdef char* arena = self.poller.lend()
        cdef int i, count
        memset(messages, 0, sizeof(messages))
        for i in range(PER_WAKEUP):
            pieces[i].iov_base, pieces[i].iov_len = arena + i * DATAGRAM_SIZE, DATAGRAM_SIZE
            messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen = &pieces[i], 1
            messages[i].msg_hdr.msg_name = &peers[i]
            messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
        count = recvmmsg(self.fd, messages, PER_WAKEUP, 0, NULL)
        if count < 0:
            if errno == EAGAIN or errno == EINTR:
                return 0
            return self.report_error(os_error(errno))
        # All of them first: a callback may use the arena again.
        arrivals = []
        for i in range(count):
            data = None
            if not messages[i].msg_hdr.msg_flags & MSG_TRUNC:
                data = PyBytes_FromStringAndSize(arena + i * DATAGRAM_SIZE, messages[i].msg_len)
            arrivals.append((data, self.peer_of(<char*> &peers[i], messages[i].msg_hdr.msg_namelen)))
        return self.deliver(arrivals)

    cdef object peer_of(self, const char* raw, Py_ssize_t size):
        """Python's address; a peer often sends several times in a row."""
        if self.peer_raw is None or PyBytes_GET_SIZE(self.peer_raw) != size or (
            memcmp(PyBytes_AS_STRING(self.peer_raw), raw, size) != 0
        ):
            self.peer = from_sockaddr(raw, size)
            self.peer_raw = raw[:size]
        return self.peer

    cdef int deliver(self, list arrivals) except -1:
        for data, address in arrivals:
            if self.state != OPEN:
                break
            if data is None:
                self.report_error(os_error(EMSGSIZE))
                continue
            try:
                self.protocol.datagram_received(data, address)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._report(exc, "protocol.datagram_received() failed")
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
            return
        slow = type(target) is list
        if slow and self.queue and not self.full:
            self.send_queued()  # so that what is wrong with the address is raised here
        if self.queue or not slow:
            self.enqueue(piece, target)
        else:
            self._send_one(piece, addr)
        if self.queue and not self.full and (not self.dispatching or self.queued > self.high):
            self.send_queued()
        self.throttle()

    cdef bint writable(self) noexcept:
        """As asyncio: where nobody is connected, a datagram leaves for as long as there is a socket."""
        return self.state < CLOSED if self._address is None else Endpoint.writable(self)

    cdef int enqueue(self, bytes piece, target) except -1:
        self.queue.append((piece, target))
        self.queued += PyBytes_GET_SIZE(piece) + OVERHEAD
        return 0

    def _send_one(self, piece, address):
        """Send to an address that only Python understands: a name, an abstract path."""
        try:
            self._socket().sendto(piece, address)
        except BlockingIOError:
            if self.state > CLOSING:  # nobody waits any more; a datagram may be lost
                return
            self.queue.insert(0, (piece, [address]))
            self.queued += PyBytes_GET_SIZE(piece) + OVERHEAD
            self.full = True
            self.want()
        except OSError as exc:
            self.report_error(exc)

    cdef int send_slowly(self) except -1:
        piece, target = self.queue[0]
        self.drop(1)
        try:
            self._send_one(piece, (<list> target)[0])
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
        cdef int count
        while self.queue and not self.full:
            if type((<tuple> self.queue[0])[1]) is list:
                self.send_slowly()
                continue
            count = self.transmit()
            if count > 0:
                self.drop(count)
            elif errno == EAGAIN and self.state > CLOSING:
                self.drop(len(self.queue))  # nobody waits any more; a datagram may be lost
            elif errno == EAGAIN:
                self.full = True
                self.want()
            elif errno != EINTR:
                exc = os_error(errno)
                self.drop(1)
                self.report_error(exc)
        return self.drained()

    cdef int transmit(self) except -2:
        """One system call for the first of the queue; how many left, or -1 and errno."""
        cdef mmsghdr messages[BATCH]
        cdef iovec pieces[BATCH]
        cdef int i, count = min(len(self.queue), BATCH)
        memset(messages, 0, sizeof(messages))
        for i in range(count):
            data, raw = <tuple> self.queue[i]
            if type(raw) is list:
                count = i
                break
            pieces[i].iov_base = PyBytes_AS_STRING(data)
            pieces[i].iov_len = PyBytes_GET_SIZE(data)
            messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen = &pieces[i], 1
            if raw is not None:
                messages[i].msg_hdr.msg_name = PyBytes_AS_STRING(raw)
                messages[i].msg_hdr.msg_namelen = PyBytes_GET_SIZE(raw)
        return sendmmsg(self.fd, messages, count, MSG_NOSIGNAL)

    cdef int drop(self, Py_ssize_t count) except -1:
        for data, _ in self.queue[:count]:
            self.queued -= PyBytes_GET_SIZE(data) + OVERHEAD
        del self.queue[:count]
        return 0

    cdef int forget_queue(self) except -1:
        self.queue.clear()
        return 0
