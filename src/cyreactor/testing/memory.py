"""A transport without I/O: the test is the peer, and the kernel.

It keeps the grammar that a connection keeps: the protocol's callbacks come in its order, a message
that is held back stays held back, ``connection_lost`` comes once, last, and never from inside another
callback. What a loop would do in its next iteration waits for ``settle``, which every method of the
test's side calls at its end; on a loop that runs, it waits for the next iteration.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from .._backend import sink as sinks
from ..limits import HIGH_WATER, watermarks

# Where data is cut: every so many bytes, or at these places.
Cuts = int | Iterable[int] | None


class State(IntEnum):
    OPEN = 0
    CLOSING = 1  # what is queued still leaves
    LOST = 2  # connection_lost is due
    CLOSED = 3


class MemoryTransport(asyncio.Transport):
    """A connection of a protocol with the test. Calls ``connection_made`` at once.

    The test's side: ``feed`` and ``feed_eof`` are what arrives, ``sent`` and ``take`` what left, ``drain``
    lets more of it leave, ``lose`` breaks the connection. An exception in a callback loses the connection,
    as on a loop, and is raised to the test.

    ``room`` is how many bytes the kernel still takes; what is written beyond that waits, and pauses the
    protocol above ``high`` bytes, until ``drain`` has brought it down to ``low``. None: it takes everything.
    ``loop`` is the running loop for the protocol's callbacks, the present one if it is None; without any,
    a protocol that asks for it meets asyncio's RuntimeError. ``extra`` is for ``get_extra_info``.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        room: int | None = None,
        high: int = HIGH_WATER,
        low: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self.writes: list[bytes] = []  # as the protocol made them
        self.room = room
        self.eof_sent: bool = False  # write_eof was called, and everything before it left
        self.aborted: bool = False  # what was queued when the connection ended is lost
        self._loop: Any = loop or events._get_running_loop()
        self._context = contextvars.copy_context()  # entered around the callbacks
        self._state = State.OPEN
        self._queue = bytearray()  # written, and not sent
        self._sent = bytearray()
        self._taken = 0  # bytes of that
        self._throttled = False
        self._eof_written = False
        self._paused = False
        self._backlog = b""  # arrived, and not delivered
        self._ended = False  # the peer sent the end of the stream
        self._told = False  # and eof_received was called
        self._dispatching = False  # one of the callbacks runs
        self._later: deque[Callable[[], None]] = deque()  # for the next iteration, where no loop runs
        self._on_change: Callable[[], None] = _nothing  # tells the link
        self.set_write_buffer_limits(high, low)
        self._protocol: Any = None
        self._sink: Any = None
        self.set_protocol(protocol)
        self._act(protocol.connection_made, self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.name.lower()} queued={len(self._queue)}>"

    # --- the test's side ---

    def feed(self, data: bytes, cuts: Cuts = None) -> None:
        """Have bytes arrive: whole, or in as many pieces as ``cuts`` makes.

        ``cuts`` is a number, for pieces of so many bytes, or the places where to cut. After the end of
        the connection nothing arrives. Raises RuntimeError after ``feed_eof``.
        """
        if self._ended:
            raise RuntimeError("the peer has ended its stream: nothing more can come")
        for piece in _cut(data, cuts):
            if self._state is State.OPEN:
                self._act(self._arrive, piece)

    def feed_eof(self) -> None:
        """Have the end of the peer's stream arrive: ``eof_received`` comes after everything before it."""
        if not self._ended and self._state is State.OPEN:
            self._ended = True
            self._act(self._tell_end)

    def drain(self, count: int | None = None) -> None:
        """Let ``count`` more bytes leave, also such as are written later; None: all that wait now."""
        if self.room is not None:
            self.room += max(len(self._queue) - self.room, 0) if count is None else count
        self._act(self._send)

    @property
    def sent(self) -> bytes:
        """What left, all of it."""
        return bytes(self._sent)

    def take(self) -> bytes:
        """What left since the last time."""
        start, self._taken = self._taken, len(self._sent)
        return bytes(self._sent[start:])

    def lose(self, exc: Exception | None = None) -> None:
        """Break the connection: ``connection_lost`` gets the exception."""
        self._force_close(exc)
        self.settle()

    def settle(self) -> None:
        """Do what waits for the next iteration, and let the loop rest if it is a TestReactor.

        In a callback, and on a loop that runs, this does nothing: the next iteration comes by itself.
        """
        if self._dispatching or events._get_running_loop() is not None:
            return
        while self._later:
            self._dispatch(self._later.popleft())
        settle = getattr(self._loop, "settle", None)
        if settle is not None:
            settle()

    @property
    def closed(self) -> bool:
        """Whether ``connection_lost`` was called."""
        return self._state is State.CLOSED

    def _act(self, callback: Callable[..., Any], *args: Any) -> None:
        """Do what the test wants, and what follows from it, also where a callback fails."""
        try:
            self._dispatch(callback, *args)
        finally:
            self.settle()

    # --- the protocol's callbacks ---

    def _dispatch(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call in the transport's context, with its loop as the running one."""
        if self._dispatching:
            callback(*args)
            return
        self._dispatching = True
        try:
            with running(self._loop):
                self._context.run(callback, *args)
        except BaseException as exc:
            self._force_close(exc if isinstance(exc, Exception) else None)
            raise
        finally:
            self._dispatching = False
            self._on_change()

    def _soon(self, callback: Callable[[], None]) -> None:
        """In the next iteration: the loop's, or the test's."""
        if self._loop is None:
            self._later.append(callback)
        else:
            self._loop.call_soon(self._dispatch, callback)

    # --- reading ---

    def _arrive(self, piece: bytes) -> None:
        self._backlog += piece
        if not self._paused:
            self._deliver()

    def _deliver(self) -> None:
        """Deliver what has arrived or was held back, and then the end."""
        if self._state is not State.OPEN or self._paused:
            return
        data, self._backlog = self._backlog, b""
        sink = self._sink
        failed, used = sink.pour(data)
        if failed:
            self._end(sink.failure)
        elif self._state is State.OPEN:
            self._backlog += data[used:]
            if self._ended:
                self._tell_end()

    def _tell_end(self) -> None:
        if self._told or self._paused or self._backlog or self._state is not State.OPEN:
            return
        self._told = True
        if not self._protocol.eof_received():
            self.close()

    def is_reading(self) -> bool:
        return self._state is State.OPEN and not self._paused

    def pause_reading(self) -> None:
        if self.is_reading():
            self._paused = self._sink.halted = True

    def resume_reading(self) -> None:
        if self._paused and self._state is State.OPEN:
            self._paused = self._sink.halted = False
            self._soon(self._deliver)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol; the last one, once the transport is closed."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Send what arrives from now on to another protocol, what was not delivered included."""
        former, self._protocol = self._sink, protocol
        self._sink = _make_sink(self, protocol)
        self._sink.halted = not self.is_reading()
        if former is None:
            return
        former.halted = True
        self._told = False
        self._soon(lambda: self._succeed(former))

    def _succeed(self, former: Any) -> None:
        self._backlog = former.take() + self._backlog
        self._deliver()

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes, and send them as far as there is room; ignored once the transport is closing."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._state is not State.OPEN:
            return
        piece = bytes(data)
        self.writes.append(piece)
        self._queue += piece
        self._send()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(map(bytes, list_of_data)))

    def _send(self) -> None:
        """Let leave what the kernel takes; pause and resume the protocol."""
        if self._state > State.CLOSING:
            return
        count = len(self._queue) if self.room is None else min(self.room, len(self._queue))
        self._sent += self._queue[:count]
        del self._queue[:count]
        if self.room is not None:
            self.room -= count
        self._throttle()
        if not self._queue:
            self.eof_sent = self._eof_written
            if self._state is State.CLOSING:
                self._lose(self._cause)
        self._on_change()

    def _throttle(self) -> None:
        if not self._throttled and len(self._queue) > self._high:
            self._throttled = True
            self._protocol.pause_writing()
        elif self._throttled and len(self._queue) <= self._low:
            self._throttled = False
            self._protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """End our stream once everything queued is sent."""
        if self._state is State.OPEN and not self._eof_written:
            self._eof_written = True
            self._send()

    def get_write_buffer_size(self) -> int:
        return len(self._queue)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._low, self._high = watermarks(high, low)
        if self._queue:
            self._throttle()

    # --- the end ---

    _cause: Exception | None = None  # for connection_lost, of a closing transport

    def is_closing(self) -> bool:
        return self._state is not State.OPEN

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._force_close(None)

    def _end(self, exc: Exception | None) -> None:
        """Close once everything queued is sent; ``connection_lost`` gets the exception."""
        if self._state is not State.OPEN:
            return
        self._state, self._cause = State.CLOSING, exc
        self._halt()
        if not self._queue:
            self._lose(exc)

    def _force_close(self, exc: Exception | None) -> None:
        """Close now; what is queued is lost."""
        if self._state < State.LOST:
            self.aborted = True
            self._queue.clear()
            self._lose(exc)

    def _lose(self, exc: Exception | None) -> None:
        self._state = State.LOST
        self._halt()
        self._soon(lambda: self._finish(exc))

    def _halt(self) -> None:
        self._sink.halted = True
        self._backlog = b""

    def _finish(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self._sink.take()
        self._protocol.connection_lost(exc)


def feed(
    protocol: asyncio.BaseProtocol,
    data: bytes = b"",
    cuts: Cuts = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    **options: Any,
) -> MemoryTransport:
    """Connect the protocol, and have ``data`` arrive, cut as ``MemoryTransport.feed`` says.

    Returns the transport: ``sent`` is what the protocol wrote. ``options`` are those of MemoryTransport.
    """
    transport = MemoryTransport(protocol, loop=loop, **options)
    transport.feed(data, cuts)
    return transport


def _cut(data: bytes, cuts: Cuts) -> Iterator[bytes]:
    """The pieces; none is empty."""
    if cuts is None:
        cuts = ()
    elif isinstance(cuts, int):
        if cuts < 1:
            raise ValueError(f"pieces have at least one byte, not {cuts}")
        cuts = range(cuts, len(data), cuts)
    start = 0
    for place in [*cuts, len(data)]:
        if place > start:
            yield data[start:place]
            start = place


@contextmanager
def running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Make the loop the running one, where none runs."""
    if loop is None or events._get_running_loop() is not None:
        yield
        return
    events._set_running_loop(loop)
    try:
        yield
    finally:
        events._set_running_loop(None)


def _nothing() -> None:
    """Nobody is interested."""


def _make_sink(transport: MemoryTransport, protocol: Any) -> Any:
    """As a connection does."""
    get_sink = getattr(protocol, "get_sink", None)
    found = get_sink(transport) if get_sink is not None else None
    if isinstance(found, sinks.Sink):
        return found
    if isinstance(protocol, asyncio.BufferedProtocol):
        return sinks.BufferedSink(protocol)
    return sinks.ProtocolSink(protocol)
