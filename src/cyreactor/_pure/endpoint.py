"""What streams and datagrams have in common: a life, dispatch in a context, flow control, an end.

Dispatch. While one of the endpoint's own callbacks runs, writes only queue; what they queued leaves at
its end. Where the wait brought several events, it leaves together with what the others wrote, within
HOLD_TIME: so the kernel does one kind of work at a time, and a peer is woken less often. Interest is
lazy: pausing tells the selector nothing; if it still holds when an event of that kind is over, the
registration shrinks then.

Ending. OPEN -> CLOSING (close, end of stream, framing error: the queue still leaves) -> LOST
(connection_lost is scheduled, never called from inside another callback) -> CLOSED. An error or
``abort`` goes straight to LOST.

What a callback raises goes to the loop's exception handler, and loses a stream's endpoint unless the
callback was about writing; KeyboardInterrupt and SystemExit pass through.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
from asyncio.log import logger
from asyncio.transports import _FlowControlMixin
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from ..limits import HELD_SIZE, HIGH_WATER, LOST_WRITES_BEFORE_WARNING, LOW_WATER
from .poller import EVENT_READ, EVENT_WRITE, Watcher


class State(IntEnum):
    BORN = 0  # connection_made has not been called
    OPEN = 1
    CLOSING = 2  # nothing more is read; what is queued still leaves
    LOST = 3  # connection_lost is scheduled
    CLOSED = 4  # connection_lost was called, the descriptor is gone


# Plain names: looking a member up on the class costs more than the comparison.
BORN, OPEN, CLOSING, LOST, CLOSED = State


class Endpoint(Watcher, _FlowControlMixin):
    """The pure half of a transport; ``cyreactor.transport`` adds the rare paths."""

    # Slots, for a connection has more attributes than Python keeps in line (30).
    __slots__ = (
        "_loop", "cause", "context", "dispatching", "fd", "full", "high", "holding", "interest", "lent",
        "lost_writes", "low", "poller", "protocol", "queued", "readable", "resuming", "sock", "state",
        "throttled", "watched",
    )  # fmt: skip

    def __init__(self, loop: Any, sock: socket.socket) -> None:
        self.interest, self.watched = 0, False
        self._loop = loop  # None once closed
        self.poller = loop._poller
        self.protocol: Any = None  # None once closed
        self.context = contextvars.copy_context()  # entered around every callback
        self.sock = sock
        self.fd: int = sock.fileno()
        self.cause: BaseException | None = None  # for connection_lost of a closing endpoint
        self.readable = False  # is open, and wants what comes
        self.queued = 0  # bytes still to send
        self.high, self.low = HIGH_WATER, LOW_WATER
        self.lost_writes = 0  # since the endpoint was lost
        self.state = BORN
        self.full = False  # the kernel took less than was offered: waits for EVENT_WRITE
        self.resuming = False  # it is being told to resume
        self.throttled = False  # the protocol was told to pause writing
        self.lent = False  # somebody else has the descriptor's events, see sendfile
        self.dispatching = False  # one of its callbacks runs: writes wait for its end
        self.holding = False  # on the poller's list for the flush before the wait

    # --- what a kind of endpoint does in its own way ---

    def _read(self) -> None:
        raise NotImplementedError

    def _send_queued(self) -> None:
        raise NotImplementedError

    def _halt(self) -> None:
        """Deliver nothing more."""
        self.readable = False

    def _forget_queue(self) -> None:
        raise NotImplementedError

    def _end_dispatch(self) -> None:
        """What the callbacks wrote leaves in one send."""
        if self.queued and not self.full:
            if self.poller.crowded and self.queued <= HELD_SIZE:
                self._hold()
            else:
                self._send_queued()

    def _hold(self) -> None:
        """See that what is queued leaves before the next wait, see ``Poller.hold``."""
        if not self.holding or not self.poller.running:
            self.holding = True
            self.poller.hold(self)

    def flush(self) -> None:
        self.holding = False
        if self.queued and not self.full:
            self.context.run(self._send_queued)

    # --- birth ---

    def _start(self, waiter: asyncio.Future[None] | None = None) -> None:
        """Call connection_made, then read, then wake the waiter."""
        self.begin()
        if waiter is None or waiter.done():
            return
        if self.cause is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(self.cause)

    def begin(self) -> None:
        if self.state == BORN:
            self.state = OPEN
            self.readable = self._wants_to_read()
        try:
            self._dispatch(self.protocol.connection_made, self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._callback_failed("connection_made", exc)
        if self.state == CLOSING and not self.queued:
            self._finish_writing()
        else:
            self._want()

    def _wants_to_read(self) -> bool:
        return True

    # --- dispatch ---

    def on_ready(self, events: int) -> None:
        if self.poller.debugging:
            self._on_ready_timed(events)
            return
        self.context.run(self._respond, events)
        if not self.readable or events & EVENT_WRITE:
            self._settle(events)

    def on_gone(self) -> None:
        error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._fatal_error(error, "Fatal error: the descriptor cannot be watched")

    def _on_ready_timed(self, events: int) -> None:
        loop = self._loop
        start = loop.time()
        self.context.run(self._respond, events)
        self._settle(events)
        loop._report_slow(self, loop.time() - start)

    def _respond(self, events: int) -> None:
        self.dispatching = True
        try:
            if self.readable and events & EVENT_READ:
                self._read()
            if self.full and events & EVENT_WRITE:
                self.full = False
                if self.queued:
                    self._send_queued()
        finally:
            self.dispatching = False
            self._end_dispatch()

    def _dispatch(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call in the endpoint's context, and send what the callbacks wrote."""
        self.context.run(self._dispatch_in_context, callback, args)

    def _dispatch_in_context(self, callback: Callable[..., Any], args: Any) -> None:
        self.dispatching = True
        try:
            callback(*args)
        finally:
            self.dispatching = False
            self._end_dispatch()

    def _want(self) -> None:
        """See that the selector reports all that is wanted; it may report more."""
        interest = self.interest if self.watched else 0
        if self.readable:
            interest |= EVENT_READ
        if self.full:
            interest |= EVENT_WRITE
        if self.state > CLOSING or self.lent:
            return
        if interest:
            self._watch(interest)
        else:
            self._rest()

    def _watch(self, interest: int) -> None:
        try:
            self.poller.watch(self, interest)
        except (OSError, KeyError, ValueError) as exc:  # over a limit, or closed behind our back
            self.cause = exc
            self._fatal_error(exc, "Fatal error: the descriptor cannot be watched")

    def _settle(self, events: int) -> None:
        """After an event, see that no unwanted one comes again."""
        if not self.watched or self.state > CLOSING:
            return
        interest = (EVENT_READ if self.readable else 0) | (EVENT_WRITE if self.full else 0)
        if interest == 0:
            # Selectors cannot tell a hang-up from data, and none takes an empty interest.
            self.poller.unwatch(self)
            self._rest()
        elif events & self.interest & ~interest:
            self._watch(interest)

    def _callback_failed(self, callback: str, exc: BaseException) -> None:
        self._report(exc, f"Fatal error: protocol.{callback}() call failed.")
        self._force_close(exc)

    def get_protocol(self) -> Any:
        """The protocol; None once the endpoint is closed."""
        return self.protocol

    # --- writing ---

    def _writable(self) -> bool:
        """As asyncio: while the kernel keeps a closing endpoint waiting, it takes writes."""
        return self.state <= OPEN or (self.state is CLOSING and (self.full or self.resuming))

    def _drained(self) -> None:
        """Some of the queue left: tell the protocol, and finish what waited for the rest."""
        if self.throttled and self.queued <= self.low:
            self._release()
        if not self.queued:
            self._finish_writing()

    def _finish_writing(self) -> None:
        if self.state is CLOSING:
            self._lose(self.cause)

    def _write_lost(self) -> None:
        self.lost_writes += 1
        if self.lost_writes >= LOST_WRITES_BEFORE_WARNING:
            logger.warning("socket.send() raised exception.")

    # --- flow control ---

    def _throttle(self) -> None:
        if self.throttled or self.queued <= self.high or self.state > CLOSING:
            return
        self.throttled = True
        try:
            self.protocol.pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.pause_writing() failed")

    def _release(self) -> None:
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

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""
        return self.queued

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The watermarks ``(low, high)``, in bytes."""
        return self.low, self.high

    def _set_write_buffer_limits(self, high: int, low: int) -> None:
        self.high, self.low = high, low
        if self.state > CLOSING:
            return
        self._throttle()
        if self.throttled and self.queued <= low:
            self._release()

    @property
    def _protocol_paused(self) -> bool:
        return self.throttled

    # --- the end ---

    def is_closing(self) -> bool:
        """Whether ``close`` or ``abort`` was called, or the peer is gone."""
        return self.state > OPEN

    def close(self) -> None:
        """Send what is queued, then close; ``connection_lost(None)`` follows."""
        self._end(None)

    def _end(self, exc: BaseException | None) -> None:
        """Close once everything queued is sent; ``connection_lost`` gets the exception."""
        if self.state > OPEN:
            return
        born = self.state != BORN
        self.state = CLOSING
        self.cause = exc
        self._halt()
        if born and not self.queued:
            self._finish_writing()

    def _force_close(self, exc: BaseException | None) -> None:
        """Close now, whatever is queued."""
        if self.state < LOST:
            self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self.state = LOST
        self._halt()
        self._forget_queue()
        self.queued = 0
        self.full = False
        self.poller.unwatch(self)
        self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        try:
            self.context.run(self.protocol.connection_lost, exc)
        finally:
            self._dispose()

    def __del__(self) -> None:
        if self._loop is not None:
            self._abandoned()

    def _dispose(self) -> None:
        """Give everything back; protocol and transport form a cycle that ends here."""
        self.poller.unwatch(self)
        self.fd = -1
        self.state = CLOSED
        self.protocol = self._loop = self.cause = None
        self.sock.close()

    # --- what the rare paths ask, and what they give ---

    def _socket(self) -> socket.socket | None:
        """The Python socket; None once closed."""
        return self.sock if self.fd >= 0 else None

    def _describe(self) -> str:
        """What ``repr`` says of the state."""
        if self.state == CLOSED:
            return "closed"
        reading = "polling" if self.readable else "idle"
        writing = "polling" if self.full else "idle"
        closing = "closing " if self.state > OPEN else ""
        return f"{closing}fd={self.fd} read={reading} write=<{writing}, bufsize={self.queued}>"

    def _rest(self) -> None:
        raise NotImplementedError

    def _abandoned(self) -> None:
        raise NotImplementedError

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        raise NotImplementedError

    def _report(self, exc: BaseException, message: str) -> None:
        raise NotImplementedError


def as_bytes(data: Any) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
    return bytes(data)
