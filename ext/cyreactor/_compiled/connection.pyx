"""TCP and Unix streams: the path of a byte in both directions.

Reading. One read of at most 64 KiB a wake-up, a little more where the last was full, into memory
of the sink's choice. The end of the stream is told once everything before it is delivered.

Writing. A write from outside of a dispatch (a task, a timer) leaves at once when it is the connection's
first of the iteration, unless it is used to company, be it of further writes or of other connections:
then it is held for the flush before the wait. `habit` counts up on iterations with company and down on a
held write without.
"""

import asyncio
import sys

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy, memset

from .addresses cimport from_sockaddr
from .endpoint cimport OPEN, Endpoint, as_bytes, os_error
from .sink cimport BufferedSink, ProtocolSink, Sink
from .syscalls cimport *

from cyreactor import limits

cdef enum:
    PIECES = 256   # as limits.PIECES_PER_SEND
    COPIED = 8192  # as limits.SENT_AS_ONE

cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef int COALESCE_AFTER = limits.COALESCE_AFTER
cdef int COALESCE_MEMORY = limits.COALESCE_MEMORY

# Since Python 3.13 a server knows its transports, before it only counts them.
cdef bint SERVER_KNOWS_TRANSPORTS = sys.version_info >= (3, 13)

# Of a connection without a protocol.
cdef Sink NO_SINK = Sink()


cdef class Connection(Endpoint):
    """The compiled half of a stream transport; ``cyreactor.transport`` adds the rare paths."""

    def __cinit__(self, loop, sock, protocol, server=None, *args, **kwargs):
        self.sink = NO_SINK
        self._server = server
        self.written = self.poller.iteration - 1

    def __init__(self, loop, sock, protocol, server=None):
        try:
            self.set_protocol(protocol)
        except BaseException:
            self.fd, self.sock, self._loop = -1, None, None  # no connection: the socket stays its giver's
            raise
        if server is not None:
            if SERVER_KNOWS_TRANSPORTS:
                server._attach(self)
            else:
                server._attach()

    @property
    def __class__(self):
        """Programs ask ``isinstance(transport, asyncio.Transport)``; a C layout cannot inherit from it."""
        return asyncio.transports._FlowControlMixin

    cdef int set_names(self, own, const void* address, unsigned int size) except -1:
        self._name = own
        self.peer_size = size if size <= sizeof(self.peer) else 0  # a long name is asked for when needed
        memcpy(&self.peer, address, self.peer_size)
        return 0

    def _peer_address(self):
        """The peer's address as accept gave it; None when the connection was not accepted."""
        return from_sockaddr(&self.peer, self.peer_size)

    # --- reading ---

    def _deliver(self):
        """Deliver what was held back while reading was paused, or left by a former protocol."""
        if self.state != OPEN or self.paused:
            return
        self.enter()
        try:
            if self.backlog is not None:
                self.pour_backlog()
            else:
                self.speak()
            if self.ended:
                self.tell_end()
        finally:
            self.leave()

    cdef int end_dispatch(self) except -1:
        if self.former is not None:
            self.keep_rest()
        return Endpoint.end_dispatch(self)

    cdef bint reading(self) noexcept:
        return self.state == OPEN and not self.paused and not self.ended

    cdef int read(self) except -1:
        cdef Sink sink = self.sink
        cdef Py_ssize_t size = READ_SIZE, count
        cdef int error, failed
        cdef char* place
        if self.backlog is not None:
            return self.pour_backlog()
        try:
            place = sink.reserve(self.poller.scratch, &size)
            count = recv(self.fd, place, size, 0)
            error = errno
            failed = sink.commit(max(count, 0))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            return self.callback_failed(sink.callback, exc)
        if failed:
            self._end(sink.failure)
        if self.former is not None:
            self.keep_rest()
        if count == 0:
            self.ended = True
            return self.tell_end()
        if count < 0 and error != EAGAIN and error != EINTR:
            self._fatal_error(os_error(error), "Fatal read error on socket transport")
        return 0

    cdef int speak(self) except -1:
        """Have the sink deliver what it held back."""
        cdef Sink sink = self.sink
        cdef int failed
        try:
            failed = sink.commit(0)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            return self.callback_failed(sink.callback, exc)
        if failed:
            self._end(sink.failure)
        return 0

    cdef int pour_backlog(self) except -1:
        cdef bytes data = self.backlog
        cdef Sink sink = self.sink
        cdef Py_ssize_t used = 0
        cdef int failed = 0
        self.backlog = None
        try:
            failed = sink.absorb(data, &used)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            return self.callback_failed(sink.callback, exc)
        if failed:
            self._end(sink.failure)
        elif used < len(data):
            self.backlog = data[used:] if self.backlog is None else self.backlog + data[used:]
        return 0

    cdef int keep_rest(self) except -1:
        """The protocol was changed: its successor gets what it left."""
        cdef Sink former = self.former
        self.former = None
        if former is self.sink or self.state > OPEN:
            return 0
        rest = former.take()
        if rest:
            self.backlog = rest if self.backlog is None else rest + self.backlog
        if self.backlog is not None:
            self._loop.call_soon(self._deliver)
        return 0

    def _unread(self, bytes data):
        """Have these bytes delivered once more, before all others; to the next protocol, see start_tls."""
        self.backlog = data if self.backlog is None else data + self.backlog

    cdef int tell_end(self) except -1:
        """Call eof_received, unless something of before the end is still held back."""
        if self.told or self.paused or self.backlog is not None or self.state != OPEN:
            return 0
        self.told = True
        try:
            keep_open = self.protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self.callback_failed("eof_received", exc)
            return 0
        if not keep_open:
            self.close()
        return 0

    def is_reading(self):
        """Whether the protocol gets data as it comes; false once closing."""
        return self.state <= OPEN and not self.paused

    def pause_reading(self):
        """No more data for the protocol until ``resume_reading``; the rest of a batch is kept."""
        if self.is_reading():
            self.paused = True
            self.sink.halted = True

    def resume_reading(self):
        """Read again, after what was held back."""
        if not self.paused or self.state > OPEN:
            return
        self.paused = False
        self.sink.halted = False
        if self.state == OPEN:
            self.want()
            parses = not isinstance(self.sink, (ProtocolSink, BufferedSink))
            if parses or self.ended or self.backlog is not None:
                self._loop.call_soon(self._deliver)

    def set_protocol(self, protocol):
        """Send what arrives from now on to another protocol, undelivered bytes included."""
        cdef Sink former = self.sink
        self.protocol = protocol
        self.sink = make_sink(self, protocol)
        self.sink.halted = self.paused or self.state > OPEN
        if former is NO_SINK or former is self.sink:
            return
        former.halted = True
        if self.former is None:  # it may be calling us: it gives its rest at the end of the dispatch
            self.former = former
        if self.ended and self.state == OPEN:  # the successor has not heard of it
            self.told = False
            self._loop.call_soon(self._deliver)
        if not self.dispatching:
            self.keep_rest()

    # --- writing ---

    def write(self, data):
        """Send bytes; never blocks. A mutable buffer may be changed as soon as this returns."""
        if type(data) is not bytes and self.leaves_at_once(data):
            self.send_buffer(data)
        else:
            self.submit(data if type(data) is bytes else as_bytes(data))

    cdef int submit(self, bytes piece) except -1:
        if self.eof_written or self.emptied is not None:
            self.check_write("write")
        if PyBytes_GET_SIZE(piece) == 0:
            return 0
        if not self.writable():
            self._write_lost()
        elif not self.holds() and self.queued == 0:
            self.send_now(piece, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
        else:
            self.enqueue(piece, 0)
            self.after_write()
        return 0

    cdef bint leaves_at_once(self, data) except -1:
        """Whether of a mutable buffer only what the kernel does not take has to be copied."""
        if not isinstance(data, (bytearray, memoryview)):
            return False
        if self.queued or self.state > OPEN or self.eof_written or self.emptied is not None:
            return False
        view = memoryview(data)
        return view.nbytes > self.high and view.c_contiguous

    cdef int send_buffer(self, data) except -1:
        cdef Py_buffer view
        self.holds()  # it counts as a write
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.send_now(None, <const char*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def writelines(self, list_of_data):
        """Send several pieces as one write."""
        cdef bytes piece
        pieces = [item if type(item) is bytes else as_bytes(item) for item in list_of_data]
        if self.eof_written or self.emptied is not None:
            self.check_write("writelines")
        pieces = [piece for piece in pieces if piece]
        if not pieces:
            return
        if not self.writable():
            self._write_lost()
            return
        at_once = not self.holds() and self.queued == 0
        for piece in pieces:
            self.enqueue(piece, 0)
        if at_once:
            self.send_queued()
            self.throttle()
        else:
            self.after_write()

    def write_eof(self):
        """Shut the write side down once everything queued is sent (half-close)."""
        if self.state > OPEN or self.eof_written:
            return
        self.eof_written = True
        if not self.queued:
            shutdown(self.fd, SHUT_WR)

    def can_write_eof(self):
        """True: streams can be half-closed."""
        return True

    cdef int check_write(self, str method) except -1:
        if self.eof_written:
            raise RuntimeError(f"Cannot call {method}() after write_eof()")
        raise RuntimeError("unable to write; sendfile is in progress")

    cdef int enqueue(self, bytes piece, Py_ssize_t start) except -1:
        if self.queued and self.queue is None:
            pieces = []  # which may run the garbage collector, and a finalizer that writes, and so sends all
            if self.queued and self.queue is None:
                self.queue = pieces
        if self.queued == 0:
            self.first = piece
            self.sent = start
        else:
            self.queue.append(piece)
        self.queued += PyBytes_GET_SIZE(piece) - start
        return 0

    cdef bint holds(self) except -1:
        """Whether a write waits for the end of the dispatch, or for the flush before the wait."""
        cdef bint first = self.written != self.poller.iteration
        if self.dispatching:
            return True
        if first:
            if self.habit >= COALESCE_AFTER and not self.accompanied:  # held for nothing
                self.habit -= 1
            self.written = self.poller.iteration
            self.accompanied = False
        if not self.accompanied and (self.poller.crowded or not first):
            self.accompanied = True
            self.habit = min(self.habit + 1, COALESCE_MEMORY)
        return not first or self.habit >= COALESCE_AFTER

    cdef int after_write(self) except -1:
        """Something was queued: see that it leaves, and that it does not pile up."""
        if self.queued > self.high and not self.full:
            self.send_queued()
        elif not self.dispatching and not self.full:
            self.hold()
        return self.throttle()

    cdef int send_now(self, bytes piece, const char* start, Py_ssize_t size) except -1:
        """Send; what is left is in `piece`, or copied where that is None."""
        cdef Py_ssize_t count = send(self.fd, start, size, MSG_NOSIGNAL)
        if count == size:
            return 0
        if count < 0:
            if errno != EAGAIN and errno != EINTR:
                return self.write_failed()
            count = 0
        if piece is None:
            self.enqueue(start[count:size], 0)
        else:
            self.enqueue(piece, count)
        self.full = True
        self.want()
        return self.throttle()

    cdef int send_queued(self) except -1:
        cdef Py_ssize_t count = self.transmit()
        if count < 0:
            if errno != EAGAIN and errno != EINTR:
                return self.write_failed()
            count = 0
        self.advance(count)
        if self.queued:
            self.full = True
            self.want()
        return self.drained()

    cdef Py_ssize_t transmit(self) noexcept:
        """One system call for as much of the queue as one may carry."""
        cdef const char* start = PyBytes_AS_STRING(self.first) + self.sent
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.first) - self.sent
        if self.queue is None:
            return send(self.fd, start, size, MSG_NOSIGNAL)
        if self.queued <= COPIED:
            return send_copied(self.fd, start, size, self.queue)
        return send_pieces(self.fd, start, size, self.queue)

    cdef int advance(self, Py_ssize_t count) except -1:
        cdef Py_ssize_t gone = 0, size = PyBytes_GET_SIZE(self.first)
        self.queued -= count
        if self.queued == 0:
            self.first = self.queue = None
            return 0
        self.sent += count
        while self.sent >= size:
            self.sent -= size
            self.first = <bytes> PyList_GET_ITEM(self.queue, gone)
            size = PyBytes_GET_SIZE(self.first)
            gone += 1
        if gone and gone == PyList_GET_SIZE(self.queue):
            self.queue = None
        elif gone:
            del self.queue[:gone]
        return 0

    cdef int finish_writing(self) except -1:
        if self.emptied is not None and not self.emptied.done():
            self.emptied.set_result(None)
        if self.state == OPEN and self.eof_written:
            shutdown(self.fd, SHUT_WR)
        return Endpoint.finish_writing(self)

    cdef int write_failed(self) except -1:
        self._fatal_error(os_error(errno), "Fatal write error on socket transport")
        return 0

    def _make_empty_waiter(self):
        """For sendfile: a future for when everything queued is sent; until reset, nobody writes."""
        if self.emptied is not None:
            raise RuntimeError("Empty waiter is already set")
        self.emptied = self._loop.create_future()
        if not self.queued:
            self.emptied.set_result(None)
        return self.emptied

    def _reset_empty_waiter(self):
        self.emptied = None
        self.lent = False
        self.want()

    def _unwatch(self):
        """Leave the descriptor's events to somebody else, until ``_reset_empty_waiter``."""
        self.lent = True
        self.poller.unwatch(self)
        self._rest()

    # --- the end ---

    cdef int halt(self) except -1:
        self.sink.halted = True
        self.backlog = None
        return 0

    cdef int forget_queue(self) except -1:
        self.first = self.queue = None
        if self.emptied is not None and not self.emptied.done():
            self.emptied.set_exception(ConnectionError("Connection is closed by peer"))
        return 0

    def _dispose(self):
        server, self._server = self._server, None
        if self._name is None:
            self._name = own_address(self.fd)
        self.sink.take()
        self.sink = NO_SINK
        self.former = None
        try:
            Endpoint._dispose(self)
        finally:
            if server is None:
                pass
            elif SERVER_KNOWS_TRANSPORTS:
                server._detach(self)
            else:
                server._detach()


cdef object own_address(int fd):
    cdef sockaddr_storage address
    cdef socklen_t size = sizeof(address)
    if getsockname(fd, <sockaddr*> &address, &size) < 0:
        return None
    return from_sockaddr(&address, size)


cdef Sink make_sink(object transport, object protocol):
    get_sink = getattr(protocol, "get_sink", None)
    if get_sink is not None:
        sink = get_sink(transport)
        if isinstance(sink, Sink):
            return sink
    if isinstance(protocol, asyncio.BufferedProtocol):
        return BufferedSink(protocol)
    return ProtocolSink(protocol)


cdef Py_ssize_t send_copied(int fd, const char* start, Py_ssize_t size, list queue) noexcept:
    """Send COPIED bytes at most: up to here a copy costs less than to tell the kernel of each piece."""
    cdef char copy[COPIED]
    cdef Py_ssize_t i
    cdef object piece
    memcpy(copy, start, size)
    for i in range(PyList_GET_SIZE(queue)):
        piece = <object> PyList_GET_ITEM(queue, i)
        memcpy(copy + size, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
        size += PyBytes_GET_SIZE(piece)
    return send(fd, copy, size, MSG_NOSIGNAL)


cdef Py_ssize_t send_pieces(int fd, const char* start, Py_ssize_t size, list queue) noexcept:
    cdef iovec pieces[PIECES]
    cdef msghdr message
    cdef Py_ssize_t i, count = min(PyList_GET_SIZE(queue), PIECES - 1)
    cdef object piece
    pieces[0].iov_base, pieces[0].iov_len = <char*> start, size
    for i in range(count):
        piece = <object> PyList_GET_ITEM(queue, i)
        pieces[i + 1].iov_base = PyBytes_AS_STRING(piece)
        pieces[i + 1].iov_len = PyBytes_GET_SIZE(piece)
    memset(&message, 0, sizeof(message))
    message.msg_iov, message.msg_iovlen = pieces, count + 1
    return sendmsg(fd, &message, MSG_NOSIGNAL)
