"""TCP and Unix streams: the path of a byte in both directions.

Reading. One read of at most 64 KiB a wake-up. Pausing tells the selector nothing; should an event
come that nobody wants, the registration shrinks then.

Writing. While one of the connection's own callbacks runs, writes only queue; one send follows its
end. A write from elsewhere (a task, a timer) leaves at once when it is the connection's first of
the iteration. A connection that keeps writing several pieces an iteration is held for the flush
just before the wait: ``habit`` counts up on such iterations and down on a held single write.

Ending. OPEN -> CLOSING (close, end of stream, framing error: the queue still leaves) -> LOST
(connection_lost is scheduled, never called from inside another callback) -> CLOSED. An error or
``abort`` goes straight to LOST.

What a callback raises goes to the loop's exception handler and loses the connection; KeyboardInterrupt
and SystemExit pass through.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from asyncio.log import logger
from asyncio.transports import _FlowControlMixin
from collections.abc import Callable
from enum import IntEnum
from itertools import islice
from typing import Any

from ..limits import (
    COALESCE_AFTER,
    COALESCE_MEMORY,
    HIGH_WATER,
    LOST_WRITES_BEFORE_WARNING,
    LOW_WATER,
    PIECES_PER_SEND,
    READ_SIZE,
)
from .poller import EVENT_READ, EVENT_WRITE, Watcher
from .sink import BufferedSink, ProtocolSink, Sink


class State(IntEnum):
    BORN = 0  # connection_made has not been called
    OPEN = 1
    CLOSING = 2  # nothing more is read or accepted for writing; what is queued still leaves
    LOST = 3  # connection_lost is scheduled
    CLOSED = 4  # connection_lost was called, the descriptor is gone


# Plain names: looking a member up on the class costs more than the comparison.
BORN, OPEN, CLOSING, LOST, CLOSED = State

# Of a connection without a protocol.
NO_SINK = Sink()


def _nothing(limit: int) -> bytes:
    return b""


class Connection(Watcher, _FlowControlMixin):
    """The pure half of a stream transport; ``cyreactor.transport`` adds the rare paths."""

    # More attributes than Python keeps in line (30): slots make each access and the whole smaller.
    __slots__ = (
        "_loop", "_server", "backlog", "cause", "context", "dispatching", "ended", "eof_written", "fd",
        "former", "full", "habit", "high", "holding", "interest", "lost_writes", "low", "paused", "peer",
        "poller", "protocol", "queue", "queued", "readable", "receive", "repeated", "resuming", "sent",
        "sink", "sock", "state", "throttled", "told", "watched", "written",
    )  # fmt: skip

    def __init__(self, loop: Any, sock: socket.socket, protocol: Any, server: Any = None) -> None:
        self.interest, self.watched = 0, False
        self._loop = loop  # None once closed
        self._server = server  # the asyncio.Server that accepted it, or None
        self.poller = loop._poller
        self.protocol: Any = None  # None once closed
        self.sink = NO_SINK  # what reads go into; follows the protocol
        self.former: Sink | None = None  # the one before, while it is asked for nothing but its rest
        self.backlog = b""  # bytes of a former sink, to deliver before the next read
        self.context = contextvars.copy_context()  # entered around every callback
        self.sock = sock
        self.fd: int = sock.fileno()
        self.peer: Any = None  # the address that accept gave
        self.cause: BaseException | None = None  # for connection_lost of a closing connection
        self.receive: Callable[[int], Any] = _nothing  # reads for the sink
        self.readable = False  # is open, not paused, and the peer has not ended
        self.queue: list[bytes] = []
        self.sent = 0  # bytes of queue[0] that are gone already
        self.queued = 0  # bytes still to send
        self.high, self.low = HIGH_WATER, LOW_WATER
        self.written = self.poller.iteration - 1  # the iteration of the last write
        self.lost_writes = 0  # since the connection was lost
        self.state = BORN
        self.habit = 0  # iterations with several writes, see COALESCE_AFTER
        self.paused = False  # the user stopped reading
        self.ended = False  # the peer sent the end of the stream
        self.told = False  # and eof_received was called: everything before it is delivered
        self.eof_written = False  # the user will write no more
        self.full = False  # the kernel took less than was offered: waits for EVENT_WRITE
        self.resuming = False  # it is being told to resume
        self.throttled = False  # the protocol was told to pause writing
        self.dispatching = False  # one of its callbacks runs: writes wait for its end
        self.holding = False  # on the poller's list for the flush before the wait
        self.repeated = False  # wrote more than once in this iteration
        try:
            self.set_protocol(protocol)
        except BaseException:
            self._loop = None  # no connection: the socket stays its giver's
            raise
        if server is not None:
            self._attach()

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
            self.readable = not self.paused
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

    # --- dispatch ---

    def on_ready(self, events: int) -> None:
        if self.poller.debugging:
            self._on_ready_timed(events)
            return
        self.context.run(self._respond, events)
        if not self.readable or events & EVENT_WRITE:
            self._settle(events)

    def _on_ready_timed(self, events: int) -> None:
        loop = self._loop
        start = loop.time()
        self.context.run(self._respond, events)
        self._settle(events)
        loop._report_slow(self, loop.time() - start)

    def _respond(self, events: int) -> None:
        if self.full and events & EVENT_WRITE:
            self.full = False
        self.dispatching = True
        try:
            if self.readable and events & EVENT_READ:
                self._read()
        finally:
            # The end of the dispatch: what its callbacks wrote leaves in one send.
            self.dispatching = False
            if self.former is not None:
                self._keep_rest()
            if self.queued and not self.full:
                self._send_queued()

    def _deliver(self) -> None:
        """Deliver what was held back while reading was paused, or left by a former protocol."""
        if self.state is OPEN and not self.paused:
            self._dispatch(self._deliver_in_context)

    def _deliver_in_context(self) -> None:
        if self.backlog:
            self._pour_backlog()
        else:
            self._speak()
        if self.ended:
            self._tell_end()

    def _dispatch(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call in the connection's context, and send what the callbacks wrote."""
        self.context.run(self._dispatch_in_context, callback, args)

    def _dispatch_in_context(self, callback: Callable[..., Any], args: Any) -> None:
        self.dispatching = True
        try:
            callback(*args)
        finally:
            self.dispatching = False
            if self.former is not None:
                self._keep_rest()
            if self.queued and not self.full:
                self._send_queued()

    def _want(self) -> None:
        """See that the selector reports all that is wanted; it may report more."""
        interest = self.interest if self.watched else 0
        if self.readable:
            interest |= EVENT_READ
        if self.full:
            interest |= EVENT_WRITE
        if self.state > CLOSING:
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

    # --- reading ---

    def _read(self) -> None:
        if self.backlog:
            self._pour_backlog()
            return
        sink = self.sink
        try:
            received = self.receive(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except OSError as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        except BaseException as exc:
            self._callback_failed(sink.callback, exc)
            return
        try:
            failed = sink.commit(received)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._callback_failed(sink.callback, exc)
            return
        if failed:
            self._end(sink.failure)
        if self.former is not None:
            self._keep_rest()
        if not received:
            self.ended = True
            self.readable = False
            self._tell_end()

    def _speak(self) -> None:
        """Have the sink deliver what it held back."""
        sink = self.sink
        try:
            failed = sink.commit(b"")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._callback_failed(sink.callback, exc)
        else:
            if failed:
                self._end(sink.failure)

    def _pour_backlog(self) -> None:
        data, self.backlog = self.backlog, b""
        sink = self.sink
        try:
            failed, used = sink.pour(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._callback_failed(sink.callback, exc)
            return
        if failed:
            self._end(sink.failure)
        else:
            self.backlog = data[used:]

    def _keep_rest(self) -> None:
        """The protocol was changed: its successor gets what it left."""
        former, self.former = self.former, None
        if former is None or former is self.sink or self.state > OPEN:
            return
        self.backlog = former.take() + self.backlog
        if self.backlog:
            self._loop.call_soon(self._deliver)

    def _callback_failed(self, callback: str, exc: BaseException) -> None:
        self._report(exc, f"Fatal error: protocol.{callback}() call failed.")
        self._force_close(exc)

    def _tell_end(self) -> None:
        """Call eof_received, unless something of before the end is still held back."""
        if self.told or self.paused or self.backlog or self.state is not OPEN:
            return
        self.told = True
        try:
            keep_open = self.protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._callback_failed("eof_received", exc)
            return
        if not keep_open:
            self.close()

    def is_reading(self) -> bool:
        """Whether the protocol gets data as it comes; false once closing."""
        return self.state <= OPEN and not self.paused

    def pause_reading(self) -> None:
        """No more data for the protocol until ``resume_reading``; the rest of a batch is kept."""
        if self.is_reading():
            self.paused = True
            self.readable = False
            self.sink.halted = True

    def resume_reading(self) -> None:
        """Read again, after what was held back."""
        if not self.paused or self.state > OPEN:
            return
        self.paused = False
        self.sink.halted = False
        if self.state == OPEN:
            self.readable = not self.ended
            self._want()
            parses = not isinstance(self.sink, (ProtocolSink, BufferedSink))
            if parses or self.ended or self.backlog:
                self._loop.call_soon(self._deliver)

    def get_protocol(self) -> Any:
        """The protocol; None once the connection is closed."""
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        """Send what arrives from now on to another protocol, undelivered bytes included."""
        former = self.sink
        self.protocol = protocol
        self.sink = _make_sink(self, protocol)
        self.sink.halted = self.paused or self.state > OPEN
        self.receive = self.sink.reader(self.sock)
        if former is NO_SINK:
            return
        former.halted = True
        if self.former is None:  # it may be calling us: it gives its rest at the end of the dispatch
            self.former = former
        if not self.dispatching:
            self._keep_rest()

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; never blocks. A mutable buffer may be changed as soon as this returns."""
        piece = data if type(data) is bytes else _as_bytes(data)
        if self.eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not piece:
            return
        if self.state > OPEN and not self._writable():
            self._write_lost()
        elif self.dispatching or self._holds() or self.queued:
            self.queue.append(piece)
            self.queued += len(piece)
            if not self.dispatching or self.queued > self.high:
                self._after_write()
        else:
            self._send_now(piece)

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces as one write."""
        pieces = [item if type(item) is bytes else _as_bytes(item) for item in list_of_data]
        if self.eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        pieces = [piece for piece in pieces if piece]
        if not pieces:
            return
        if self.state > OPEN and not self._writable():
            self._write_lost()
            return
        at_once = not (self.dispatching or self._holds() or self.queued)
        self.queue += pieces
        self.queued += sum(map(len, pieces))
        if at_once:
            self._send_queued()
            self._throttle()
        else:
            self._after_write()

    def write_eof(self) -> None:
        """Shut the write side down once everything queued is sent (half-close)."""
        if self.state > OPEN or self.eof_written:
            return
        self.eof_written = True
        if not self.queued:
            self._shut_down()

    def can_write_eof(self) -> bool:
        """True: streams can be half-closed."""
        return True

    def _writable(self) -> bool:
        """As asyncio: while the kernel keeps a closing connection waiting, it takes writes."""
        return self.state is CLOSING and (self.full or self.resuming)

    def _holds(self) -> bool:
        """Whether a write from outside of a dispatch waits for the flush before the wait."""
        if self.written == self.poller.iteration:
            if not self.repeated:
                self.repeated = True
                self.habit = min(self.habit + 1, COALESCE_MEMORY)
        else:
            self.written = self.poller.iteration
            self.repeated = False
            if self.habit < COALESCE_AFTER:
                return False
        return True

    def _after_write(self) -> None:
        """Something was queued: see that it leaves, and that it does not pile up."""
        if self.queued > self.high and not self.full:
            self._send_queued()
        elif not self.dispatching and not self.holding and not self.full:
            # A second write of the iteration may come while the first is queued.
            self.holding = True
            self.poller.hold(self)
        self._throttle()

    def flush(self) -> None:
        self.holding = False
        if not self.repeated and self.habit and not self.full:
            self.habit -= 1
        if self.queued and not self.full and self.state <= CLOSING:
            self.context.run(self._send_queued)

    def _send_now(self, piece: bytes) -> None:
        try:
            count = self.sock.send(piece)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as exc:
            self._write_failed(exc)
            return
        if count == len(piece):
            return
        self.queue.append(piece)
        self.sent = count
        self.queued = len(piece) - count
        self.full = True
        self._want()
        self._throttle()

    def _send_queued(self) -> None:
        queue = self.queue
        try:
            count = self._transmit() if self.sent or len(queue) > 1 else self.sock.send(queue[0])
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as exc:
            self._write_failed(exc)
            return
        if count == self.queued:
            queue.clear()
            self.queued = self.sent = 0
        else:
            self._advance(count)
            self.full = True
            self._want()
        if self.throttled or self.state is CLOSING or self.eof_written:
            self._drained()

    def _transmit(self) -> int:
        """One system call for as much of the queue as one may carry."""
        first: Any = self.queue[0]
        if self.sent:
            first = memoryview(first)[self.sent :]
        pieces = [first, *islice(self.queue, 1, PIECES_PER_SEND)]
        if hasattr(self.sock, "sendmsg"):
            return self.sock.sendmsg(pieces)
        return self.sock.send(b"".join(pieces))

    def _advance(self, count: int) -> None:
        """Some of the queue left, not all."""
        self.queued -= count
        count += self.sent
        gone = 0
        while count >= len(self.queue[gone]):
            count -= len(self.queue[gone])
            gone += 1
        self.sent = count
        del self.queue[:gone]

    def _drained(self) -> None:
        """Some of the queue left: tell the protocol, and finish what waited for the rest."""
        if self.throttled and self.queued <= self.low:
            self._release()
        if not self.queued:
            self._finish_writing()

    def _finish_writing(self) -> None:
        if self.state == CLOSING:
            self._lose(self.cause)
        elif self.state == OPEN and self.eof_written:
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer is gone already: the next read says so

    def _write_failed(self, exc: OSError) -> None:
        self._fatal_error(exc, "Fatal write error on socket transport")

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
        self.sink.halted = True
        self.readable = False
        self.backlog = b""
        if born and not self.queued:
            self._finish_writing()

    def _force_close(self, exc: BaseException | None) -> None:
        """Close now, whatever is queued."""
        if self.state < LOST:
            self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self.state = LOST
        self.sink.halted = True
        self.readable = False
        self.queue.clear()
        self.backlog = b""
        self.queued = self.sent = 0
        self.full = False
        self.poller.unwatch(self)
        self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        try:
            self.context.run(self.protocol.connection_lost, exc)
        finally:
            self._dispose()

    def _dispose(self) -> None:
        """Give everything back; protocol and transport form a cycle that ends here."""
        server = self._server
        self.poller.unwatch(self)
        self.fd = -1
        self.state = CLOSED
        self.sink.take()
        self.sink = NO_SINK
        self.former = None
        self.receive = _nothing
        self.protocol = self._loop = self._server = self.cause = None
        if server is not None:
            self._detach(server)
        self.sock.close()

    # --- what the rare paths ask, and what they give ---

    def _socket(self) -> socket.socket | None:
        """The Python socket; None once closed."""
        return self.sock if self.fd >= 0 else None

    def _peer_address(self) -> Any:
        """The peer's address as accept gave it; None when the connection was not accepted."""
        return self.peer

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

    def _attach(self) -> None:
        raise NotImplementedError

    def _detach(self, server: Any) -> None:
        raise NotImplementedError

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        raise NotImplementedError

    def _report(self, exc: BaseException, message: str) -> None:
        raise NotImplementedError


def _make_sink(connection: Connection, protocol: Any) -> Sink:
    get_sink = getattr(protocol, "get_sink", None)
    if get_sink is not None:
        sink = get_sink(connection)
        if isinstance(sink, Sink):
            return sink
    if isinstance(protocol, asyncio.BufferedProtocol):
        return BufferedSink(protocol)
    return ProtocolSink(protocol)


def _as_bytes(data: Any) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
    return bytes(data)
