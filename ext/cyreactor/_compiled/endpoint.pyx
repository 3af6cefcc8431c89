"""What streams and datagrams have in common: a life, dispatch in a context, flow control, an end.

Dispatch. While one of the endpoint's own callbacks runs, writes only queue; what they queued leaves at
its end. Where the wait brought several events, it leaves together with what the others wrote, within
HOLD_TIME: so the kernel does one kind of work at a time, and a peer is woken less often. Interest is
lazy: pausing tells the kernel nothing; if it still holds when an event of that kind is over, the
registration shrinks then.

Ending. OPEN -> CLOSING (close, end of stream, framing error: the queue still leaves) -> LOST
(connection_lost is scheduled, never called from inside another callback) -> CLOSED. An error or
`abort` goes straight to LOST.

What a callback raises goes to the loop's exception handler, and loses a stream's endpoint unless the
callback was about writing; KeyboardInterrupt and SystemExit pass through.
"""

import os
import socket
from asyncio.log import logger

from libc.stdint cimport uint32_t

from .poller cimport Watcher
from .syscalls cimport *

from cyreactor import limits

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    object PyContext_CopyCurrent()

cdef Py_ssize_t HIGH_WATER = limits.HIGH_WATER
cdef Py_ssize_t LOW_WATER = limits.LOW_WATER
cdef Py_ssize_t HELD_SIZE = limits.HELD_SIZE
cdef uint32_t LOST_WRITES_BEFORE_WARNING = limits.LOST_WRITES_BEFORE_WARNING


cdef class Endpoint(Watcher):
    """The compiled half of a transport; ``cyreactor.transport`` adds the rare paths."""

    def __cinit__(self, loop, sock, protocol, *args, **kwargs):
        self.poller = loop._poller
        self.context = PyContext_CopyCurrent()
        self.high, self.low = HIGH_WATER, LOW_WATER
        if isinstance(sock, int):
            self.fd = sock
        else:
            self.sock = sock
            self.fd = sock.fileno()
        self._loop = loop  # from now on there is something to give back

    # --- birth ---

    def _start(self, waiter=None):
        """Call connection_made, then read, then wake the waiter."""
        self.begin()
        if waiter is None or waiter.done():
            return
        if self.cause is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(self.cause)

    cdef int begin(self) except -1:
        if self.state == BORN:
            self.state = OPEN
        self.enter()
        try:
            self.protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self.callback_failed("connection_made", exc)
        finally:
            self.leave()
        if self.state == CLOSING and not self.queued:
            return self.finish_writing()
        return self.want()

    # --- dispatch ---

    cdef int on_ready(self, uint32_t events) except -1:
        if not self.poller.debugging:
            return self.respond(events)
        loop = self._loop
        start = loop.time()
        self.respond(events)
        loop._report_slow(self, loop.time() - start)
        return 0

    cdef int respond(self, uint32_t events) except -1:
        self.enter()
        try:
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and self.reading():
                self.read()
            if self.full and events & (EPOLLOUT | EPOLLHUP | EPOLLERR):
                self.full = False
                if self.queued:
                    self.send_queued()
        finally:
            self.leave()
        return self.settle(events)

    cdef int enter(self) except -1:
        PyContext_Enter(self.context)
        self.dispatching = True
        return 0

    cdef int leave(self) except -1:
        self.dispatching = False
        try:
            self.end_dispatch()
        finally:
            PyContext_Exit(self.context)
        return 0

    cdef int end_dispatch(self) except -1:
        """What the callbacks wrote leaves in one send."""
        if self.queued and not self.full:
            if self.poller.crowded and self.queued <= HELD_SIZE:
                self.hold()
            else:
                self.send_queued()
        return 0

    cdef bint reading(self) noexcept:
        return self.state == OPEN

    cdef int read(self) except -1:
        return 0

    cdef int want(self) except -1:
        """See that the kernel reports all that is wanted; it may report more."""
        cdef uint32_t interest = self.interest if self.watched else 0
        if self.reading():
            interest |= EPOLLIN
        if self.full:
            interest |= EPOLLOUT
        if self.state > CLOSING or self.lent:
            return 0
        if interest:
            return self.watch(interest)
        self._rest()
        return 0

    cdef int watch(self, uint32_t interest) except -1:
        try:
            self.poller.watch(self, interest)
        except OSError as exc:  # out of memory, over a limit, or closed behind our back
            self.cause = exc
            self._fatal_error(exc, "Fatal error: the descriptor cannot be watched")
        return 0

    cdef int settle(self, uint32_t events) except -1:
        """After an event, see that no unwanted one comes again."""
        cdef uint32_t interest = 0
        if not self.watched or self.state > CLOSING:
            return 0
        if self.reading():
            interest = EPOLLIN
        if self.full:
            interest |= EPOLLOUT
        if interest == 0 and events & (self.interest | EPOLLHUP | EPOLLERR):
            self.poller.unwatch(self)
            self._rest()
        elif events & self.interest & ~interest:
            self.watch(interest)
        return 0

    cdef int callback_failed(self, str callback, exc) except -1:
        self._report(exc, f"Fatal error: protocol.{callback}() call failed.")
        self._force_close(exc)
        return 0

    def get_protocol(self):
        """The protocol; None once the endpoint is closed."""
        return self.protocol

    # --- writing ---

    cdef bint writable(self) noexcept:
        """As asyncio: while the kernel keeps a closing endpoint waiting, it takes writes."""
        return self.state <= OPEN or self.state == CLOSING and (self.full or self.resuming)

    cdef int hold(self) except -1:
        """See that what is queued leaves before the next wait, see `poller.Poller.hold`."""
        if not self.holding or not self.poller.running:
            self.holding = True
            self.poller.hold(self)
        return 0

    cdef int flush(self) except -1:
        self.holding = False
        if self.queued and not self.full:
            PyContext_Enter(self.context)
            try:
                self.send_queued()
            finally:
                PyContext_Exit(self.context)
        return 0

    cdef int send_queued(self) except -1:
        return 0

    cdef int drained(self) except -1:
        """Some of the queue left: tell the protocol, and finish what waited for the rest."""
        if self.throttled and self.queued <= self.low:
            self.release()
        if self.queued == 0:
            self.finish_writing()
        return 0

    cdef int finish_writing(self) except -1:
        if self.state == CLOSING:
            self.lose(self.cause)
        return 0

    def _write_lost(self):
        self.lost_writes += 1
        if self.lost_writes >= LOST_WRITES_BEFORE_WARNING:
            logger.warning("socket.send() raised exception.")

    # --- flow control ---

    cdef int throttle(self) except -1:
        if self.throttled or self.queued <= self.high or self.state > CLOSING:
            return 0
        self.throttled = True
        try:
            self.protocol.pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.pause_writing() failed")
        return 0

    cdef int release(self) except -1:
        self.throttled = False
        self.resuming = True
        try:
            self.protocol.resume_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.resume_writing() failed")
        finally:
            self.resuming = False
        return 0

    def get_write_buffer_size(self):
        """Bytes that wait to be sent."""
        return self.queued

    def get_write_buffer_limits(self):
        """The watermarks ``(low, high)``, in bytes."""
        return self.low, self.high

    def _set_write_buffer_limits(self, high, low):
        self.high, self.low = high, low
        if self.state > CLOSING:
            return
        self.throttle()
        if self.throttled and self.queued <= low:
            self.release()

    @property
    def _protocol_paused(self):
        return self.throttled

    # --- the end ---

    def is_closing(self):
        """Whether ``close`` or ``abort`` was called, or the peer is gone."""
        return self.state > OPEN

    def close(self):
        """Send what is queued, then close; ``connection_lost(None)`` follows."""
        self._end(None)

    def _end(self, exc):
        """Close once everything queued is sent; ``connection_lost`` gets the exception."""
        if self.state > OPEN:
            return
        cdef bint born = self.state != BORN
        self.state = CLOSING
        self.cause = exc
        self.halt()
        if born and not self.queued:
            self.finish_writing()

    def _force_close(self, exc):
        """Close now, whatever is queued."""
        if self.state < LOST:
            self.lose(exc)

    cdef int halt(self) except -1:
        """Deliver nothing more."""
        return 0

    cdef int forget_queue(self) except -1:
        return 0

    cdef int lose(self, exc) except -1:
        self.state = LOST
        self.halt()
        self.forget_queue()
        self.queued = 0
        self.full = False
        self.poller.unwatch(self)
        self._loop.call_soon(self._finish, exc)
        return 0

    def _finish(self, exc):
        PyContext_Enter(self.context)
        try:
            self.protocol.connection_lost(exc)
        finally:
            PyContext_Exit(self.context)
            self._dispose()

    def __del__(self):
        if self._loop is not None:
            self._abandoned()

    def _dispose(self):
        """Give everything back; protocol and transport form a cycle that ends here."""
        cdef int fd = self.fd
        self.poller.unwatch(self)
        self.fd = -1
        self.state = CLOSED
        self.protocol = self._loop = self.cause = None
        if self.sock is not None:
            self.sock.close()
        elif fd >= 0:
            close(fd)

    # --- what the rare paths ask ---

    def _socket(self):
        """The Python socket; from the first call on it owns the descriptor. None once closed."""
        if self.sock is None and self.fd >= 0:
            self.sock = socket.socket(fileno=self.fd)
            self.sock.setblocking(False)  # which the descriptor is already, but the object does not know
        return self.sock

    def _describe(self):
        """What ``repr`` says of the state."""
        if self.state == CLOSED:
            return "closed"
        reading = "polling" if self.reading() else "idle"
        writing = "polling" if self.full else "idle"
        closing = "closing " if self.state > OPEN else ""
        return f"{closing}fd={self.fd} read={reading} write=<{writing}, bufsize={self.queued}>"


cdef bytes as_bytes(object data):
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
    return bytes(data)


cdef object os_error(int error):
    return OSError(error, os.strerror(error))
