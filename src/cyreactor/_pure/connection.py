"""TCP and Unix streams: the path of a byte in both directions.

Reading. One read of at most 64 KiB a wake-up, a little more where the last was full. The end
of the stream is told once everything before it is delivered.

Writing. A write from outside of a dispatch (a task, a timer) leaves at once when it is the connection's
first of the iteration, unless it is used to company, be it of further writes or of other connections:
then it is held for the flush before the wait. ``habit`` counts up on iterations with company and down on
a held write without.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

from ..limits import (
    COALESCE_AFTER,
    COALESCE_MEMORY,
    COPIED_AT_ONCE,
    HELD_SIZE,
    PIECES_PER_SEND,
    SENT_AS_ONE,
)
from .endpoint import CLOSING, OPEN, Endpoint, as_bytes
from .sink import BufferedSink, ProtocolSink, Sink

# Since Python 3.13 a server knows its transports, before it only counts them.
SERVER_KNOWS_TRANSPORTS = sys.version_info >= (3, 13)

# Of a connection without a protocol.
NO_SINK = Sink()

# Whether views and several pieces reach the kernel without being copied.
GATHERS = hasattr(socket.socket, "sendmsg") and sys.implementation.name == "cpython"


def _nothing(limit: int) -> bytes:
    return b""


class Connection(Endpoint):
    """The pure half of a stream transport; ``cyreactor.transport`` adds the rare paths."""

    __slots__ = (
        "_name", "_server", "accompanied", "backlog", "emptied", "ended", "eof_written", "former", "habit",
        "paused", "peer", "queue", "receive", "sent", "sink", "told", "written",
    )  # fmt: skip

    def __init__(self, loop: Any, sock: socket.socket, protocol: Any, server: Any = None) -> None:
        super().__init__(loop, sock)
        self._server = server  # the asyncio.Server that accepted it, or None
        self._name: Any = None  # its own address, where its listener knew it, or once it is closed
        self.sink = NO_SINK  # what reads go into; follows the protocol
        self.former: Sink | None = None  # the one before, while it is asked for nothing but its rest
        self.backlog = b""  # bytes of a former sink, to deliver before the next read
        self.peer: Any = None  # the address that accept gave
        self.receive: Callable[[int], Any] = _nothing  # reads for the sink
        self.emptied: asyncio.Future[None] | None = None  # while somebody else writes once the queue is empty
        self.queue: list[bytes] = []
        self.sent = 0  # bytes of queue[0] that are gone already
        self.written = self.poller.iteration - 1  # the iteration of the last write
        self.accompanied = False  # this iteration is one of the following
        self.habit = 0  # iterations in which its writes had company, see COALESCE_AFTER
        self.paused = False  # the user stopped reading
        self.ended = False  # the peer sent the end of the stream
        self.told = False  # and eof_received was called: everything before it is delivered
        self.eof_written = False  # the user will write no more
        try:
            self.set_protocol(protocol)
        except BaseException:
            self._loop = None  # no connection: the socket stays its giver's
            raise
        if server is not None:
            server._attach(*self._known())

    def _peer_address(self) -> Any:
        """The peer's address as accept gave it; None when the connection was not accepted."""
        return self.peer

    # --- reading ---

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

    def _end_dispatch(self) -> None:
        if self.former is not None:
            self._keep_rest()
        if self.queued and not self.full:  # as every endpoint, without the detour of super()
            if self.poller.crowded and self.queued <= HELD_SIZE:
                self._hold()
            else:
                self._send_queued()

    def _wants_to_read(self) -> bool:
        return not self.paused

    def _read(self) -> None:
        if self.backlog:
            self._pour_backlog()
            return
        sink = self.sink
        try:
            received = self.receive(sink.room)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except OSError as exc:
            if sink.callback == "get_buffer":
                self._callback_failed(sink.callback, exc)
            else:
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
            self.backlog += data[used:]

    def _keep_rest(self) -> None:
        """The protocol was changed: its successor gets what it left."""
        former, self.former = self.former, None
        if former is None or former is self.sink or self.state > OPEN:
            return
        self.backlog = former.take() + self.backlog
        if self.backlog:
            self._loop.call_soon(self._deliver)

    def _unread(self, data: bytes) -> None:
        """Have these bytes delivered once more, before all others; to the next protocol, see start_tls."""
        self.backlog = data + self.backlog

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

    def set_protocol(self, protocol: Any) -> None:
        """Send what arrives from now on to another protocol, undelivered bytes included."""
        former = self.sink
        self.protocol = protocol
        self.sink = _make_sink(self, protocol)
        self.sink.halted = self.paused or self.state > OPEN
        self.receive = self.sink.reader(self.sock)
        if former is NO_SINK or former is self.sink:
            return
        former.halted = True
        if self.former is None:  # it may be calling us: it gives its rest at the end of the dispatch
            self.former = former
        if self.ended and self.state is OPEN:  # the successor has not heard of it
            self.told = False
            self._loop.call_soon(self._deliver)
        if not self.dispatching:
            self._keep_rest()

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; never blocks. A mutable buffer may be changed as soon as this returns."""
        if type(data) is not bytes and self._leaves_at_once(data):
            if not self.dispatching:
                self._holds()  # it counts as a write
            with memoryview(data) as view, view.cast("B") as octets:  # its owner may resize it afterwards
                self._send_now(octets)
            return
        piece = data if type(data) is bytes else as_bytes(data)
        if self.eof_written or self.emptied is not None:
            self._check_write("write")
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

    def _leaves_at_once(self, data: Any) -> bool:
        """Whether of a mutable buffer only what the kernel does not take has to be copied."""
        if not isinstance(data, (bytearray, memoryview)):
            return False
        if self.queued or self.state > OPEN or self.eof_written or self.emptied is not None:
            return False
        with memoryview(data) as view:
            return view.nbytes > self.high and view.c_contiguous

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces as one write."""
        pieces = [item if type(item) is bytes else as_bytes(item) for item in list_of_data]
        if self.eof_written or self.emptied is not None:
            self._check_write("writelines")
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

    def _check_write(self, method: str) -> None:
        if self.eof_written:
            raise RuntimeError(f"Cannot call {method}() after write_eof()")
        raise RuntimeError("unable to write; sendfile is in progress")

    def _holds(self) -> bool:
        """Whether a write from outside of a dispatch waits for the flush before the wait."""
        first = self.written != self.poller.iteration
        if first:
            if self.habit >= COALESCE_AFTER and not self.accompanied:  # held for nothing
                self.habit -= 1
            self.written = self.poller.iteration
            self.accompanied = False
        if not self.accompanied and (self.poller.crowded or not first):
            self.accompanied = True
            self.habit = min(self.habit + 1, COALESCE_MEMORY)
        return not first or self.habit >= COALESCE_AFTER

    def _after_write(self) -> None:
        """Something was queued: see that it leaves, and that it does not pile up."""
        if self.queued > self.high and not self.full:
            self._send_queued()
        elif not self.dispatching and not self.full:
            self._hold()
        self._throttle()

    def _send_now(self, piece: bytes | memoryview) -> None:
        try:
            count = self.sock.send(piece)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as exc:
            self._write_failed(exc)
            return
        if count == len(piece):
            return
        self.queued = len(piece) - count
        if isinstance(piece, memoryview):
            with piece[count:] as rest:
                piece = bytes(rest)
        else:
            self.sent = count
        self.queue.append(piece)
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
        if self.throttled or self.state is CLOSING or self.eof_written or self.emptied is not None:
            self._drained()

    def _transmit(self) -> int:
        """One system call for as much of the queue as one may carry."""
        if self.queued <= SENT_AS_ONE and not self.sent:
            return self.sock.send(b"".join(self.queue))
        if not GATHERS:
            return self.sock.send(self._copied())
        first: Any = self.queue[0]
        if self.sent:
            first = memoryview(first)[self.sent :]
        return self.sock.sendmsg([first, *islice(self.queue, 1, PIECES_PER_SEND)])

    def _copied(self) -> bytes:
        """The beginning of the queue in one piece."""
        pieces, room, start = [], COPIED_AT_ONCE, self.sent
        for piece in self.queue:
            pieces.append(piece[start : start + room])
            room -= len(pieces[-1])
            start = 0
            if not room:
                break
        return b"".join(pieces)

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

    def _finish_writing(self) -> None:
        if self.emptied is not None and not self.emptied.done():
            self.emptied.set_result(None)
        if self.state is OPEN and self.eof_written:
            self._shut_down()
        super()._finish_writing()

    def _shut_down(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer is gone already: the next read says so

    def _write_failed(self, exc: OSError) -> None:
        self._fatal_error(exc, "Fatal write error on socket transport")

    def _make_empty_waiter(self) -> asyncio.Future[None]:
        """For sendfile: a future for when everything queued is sent; until reset, nobody writes."""
        if self.emptied is not None:
            raise RuntimeError("Empty waiter is already set")
        emptied: asyncio.Future[None] = self._loop.create_future()
        self.emptied = emptied
        if not self.queued:
            emptied.set_result(None)
        return emptied

    def _reset_empty_waiter(self) -> None:
        self.emptied = None
        self.lent = False
        self._want()

    def _unwatch(self) -> None:
        """Leave the descriptor's events to somebody else, until ``_reset_empty_waiter``."""
        self.lent = True
        self.poller.unwatch(self)
        self._rest()

    # --- the end ---

    def _halt(self) -> None:
        self.readable = False
        self.sink.halted = True
        self.backlog = b""

    def _forget_queue(self) -> None:
        self.queue.clear()
        self.sent = 0
        if self.emptied is not None and not self.emptied.done():
            self.emptied.set_exception(ConnectionError("Connection is closed by peer"))

    def _dispose(self) -> None:
        server, self._server = self._server, None
        if self._name is None:
            self._name = _own_address(self.sock)
        self.sink.take()
        self.sink = NO_SINK
        self.former = None
        self.receive = _nothing
        try:
            super()._dispose()
        finally:
            if server is not None:
                server._detach(*self._known())

    def _known(self) -> tuple[Any, ...]:
        return (self,) if SERVER_KNOWS_TRANSPORTS else ()


def _own_address(sock: socket.socket) -> Any:
    try:
        return sock.getsockname()
    except OSError:
        return None


def _make_sink(connection: Connection, protocol: Any) -> Sink:
    get_sink = getattr(protocol, "get_sink", None)
    if get_sink is not None:
        sink = get_sink(connection)
        if isinstance(sink, Sink):
            return sink
    if isinstance(protocol, asyncio.BufferedProtocol):
        return BufferedSink(protocol)
    return ProtocolSink(protocol)
