"""A stream reader: bytes kept until a coroutine asks for them.

Every ``_take_`` method returns None where the coroutine must wait for more, and consumes nothing then.
So a read that is cancelled while it waits has lost nothing, and one that can be answered at once is.

Flow control. While more than twice the limit waits, the transport is held back; at or below the limit
it goes on. A coroutine that waits for more than that is never held back by what waits for it.
"""

from __future__ import annotations

import sys
from asyncio import IncompleteReadError, LimitOverrunError
from collections.abc import Generator
from operator import index
from types import coroutine
from typing import Any

from .intake import Buffer, Intake

EVERYTHING = sys.maxsize

NOT_FOUND = "Separator is not found, and chunk exceed the limit"
FOUND_LATE = "Separator is found, but chunk is longer than limit"
BUSY = "another coroutine is already waiting for incoming data"


class StreamReader(Intake):
    """The core of ``cyreactor.StreamReader``."""

    __slots__ = (
        "_eof", "_exception", "_limit", "_loop", "_paused", "_transport", "_waiter", "scanned", "sought",
        "wanted",
    )  # fmt: skip

    def __init__(self, limit: int, loop: Any) -> None:
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        super().__init__()
        self.callback = "data_received"
        self._limit = int(min(limit, EVERYTHING))  # of a line; twice as much may wait before reading pauses
        self._loop = loop
        self._transport: Any = None  # held back while too much waits; None where it cannot be
        self._waiter: Any = None  # a future, while a coroutine waits for more
        self._exception: BaseException | None = None  # what broke the stream: raised by every read
        self._eof = False
        self._paused = False  # the transport is held back
        self.wanted = 0  # bytes that the waiter needs: it is woken for no less
        self.scanned = 0  # bytes from start on that were searched in vain
        self.sought: Any = None  # what for

    # --- from the transport ---

    def set_transport(self, transport: Any) -> None:
        """The transport to hold back while too much waits."""
        assert self._transport is None, "Transport already set"
        self._transport = transport

    def feed_data(self, data: Buffer) -> None:
        """Append bytes of the stream."""
        assert not self._eof, "feed_data after feed_eof"
        self.feed(data)
        self._deliver()

    def feed_eof(self) -> None:
        """The stream ends after what was fed."""
        self._eof = True
        self._wake()

    def set_exception(self, exc: BaseException) -> None:
        """The stream is broken: every read raises this from now on."""
        waiter, self._waiter = self._waiter, None
        self._exception = exc
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc)

    def exception(self) -> BaseException | None:
        """What broke the stream; None while nothing has."""
        return self._exception

    def at_eof(self) -> bool:
        """Whether the stream has ended and all of it was read."""
        return self._eof and self.start == len(self.data)

    @property
    def _buffer(self) -> bytes:
        return bytes(self.data[self.start :])

    def take(self) -> bytes:
        return b""  # what has arrived is the reader's, whatever becomes of the connection

    def _deliver(self) -> None:
        pending = len(self.data) - self.start
        if self._waiter is not None:
            if pending < self.wanted and not self._waiter.done():
                return
            self._wake()
        if pending - self._limit > self._limit and not self._paused:
            self._throttle()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _throttle(self) -> None:
        if self._transport is None:
            return
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None
        else:
            self._paused = True

    def _release(self) -> None:
        self._paused = False
        self._transport.resume_reading()

    # --- for coroutines ---

    async def readline(self) -> bytes:
        """A line with its LF; at the end of the stream what is left.

        Raises ValueError for a line over the limit, which is then dropped.
        """
        if self._exception is not None:
            raise self._exception
        while (line := self._take_line()) is None:
            await self._more("readline", 0)
        return line

    async def readuntil(self, separator: bytes | tuple[bytes, ...] = b"\n") -> bytes:
        """Up to and with the separator; of several in a tuple the one that ends first.

        Raises asyncio.LimitOverrunError where that is over the limit, with nothing consumed, and
        asyncio.IncompleteReadError where the stream ends before.
        """
        separators = _ordered(separator)
        if self._exception is not None:
            raise self._exception
        while (data := self._take_until(separators)) is None:
            await self._more("readuntil", 0)
        return data

    async def readexactly(self, n: int) -> bytes:
        """``n`` bytes. Raises asyncio.IncompleteReadError where the stream ends before."""
        n = index(n)
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        if self._exception is not None:
            raise self._exception
        while (data := self._take_exactly(n)) is None:
            await self._more("readexactly", n)
        return data

    async def read(self, n: int = -1) -> bytes:
        """Up to ``n`` bytes, as soon as there are any; all until the end of the stream for -1."""
        n = index(n)
        if self._exception is not None:
            raise self._exception
        while (data := self._take_some(n)) is None:
            await self._more("read", min(n, 0))
        return data

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    def _take_back(self) -> bytes:
        """What was not read, for another reader. The transport is not held back for it any more."""
        self._paused = False
        return self._cut(len(self.data) - self.start)

    @coroutine  # with yield: PyPy does not run a finally for a coroutine that is dropped while it awaits
    def _more(self, method: str, wanted: int) -> Generator[Any, None, None]:
        """Wait for more, so that ``wanted`` bytes are there, or for the end of the stream."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError(f"{method}() called while {BUSY}")
        if self._exception is not None:  # since it was woken for something else
            raise self._exception
        if wanted == 0:
            wanted = len(self.data) - self.start + 1
        self.wanted = wanted if wanted > 0 else EVERYTHING
        waiter = self._waiter = self._loop.create_future()
        try:
            if self._paused:
                self._release()
            yield from waiter
        finally:
            if self._waiter is waiter:  # nobody woke it: the read was cancelled
                self._waiter = None

    def _take_line(self) -> bytes | None:
        """A line with its end, what is left at the end of the stream. Raises ValueError over the limit."""
        start, at = self.start, self._resume_search(None)
        mark = self.data.find(b"\n", start + at)
        if mark >= 0:
            line = self._cut(mark + 1 - start)
            if mark - start > self._limit:
                raise ValueError(FOUND_LATE)
            return line
        pending = self.scanned = len(self.data) - start
        if pending > self._limit:
            self._cut(pending)
            raise ValueError(NOT_FOUND)
        return self._cut(pending) if self._eof else None

    def _take_until(self, separators: tuple[bytes, ...]) -> bytes | None:
        """Up to the separator that ends first, with it. ``separators`` is a tuple, the shortest first."""
        at = self.start + self._resume_search(separators)
        start, end = -1, len(self.data)
        for separator in separators:
            found = self.data.find(separator, at, end)
            if found >= 0 and (start < 0 or found + len(separator) < end):
                start, end = found, found + len(separator)
        pending = len(self.data) - self.start
        if start - self.start > self._limit:
            raise LimitOverrunError(FOUND_LATE, start - self.start)
        if start >= 0:
            return self._cut(end - self.start)
        self.scanned = max(0, pending + 1 - len(separators[-1]))
        if self.scanned > self._limit:
            raise LimitOverrunError(NOT_FOUND, self.scanned)
        if self._eof:
            raise IncompleteReadError(self._cut(pending), None)
        return None

    def _take_exactly(self, count: int) -> bytes | None:
        """So many bytes. Raises IncompleteReadError with what is left where the stream ends before."""
        pending = len(self.data) - self.start
        if pending >= count:
            return self._cut(count)
        if self._eof:
            raise IncompleteReadError(self._cut(pending), count)
        return None

    def _take_some(self, count: int) -> bytes | None:
        """What there is, up to so many bytes; a negative count waits for the end of the stream."""
        pending = len(self.data) - self.start
        if count < 0:
            return self._cut(pending) if self._eof else None
        if pending == 0 and count and not self._eof:
            return None
        return self._cut(min(pending, count))

    def _resume_search(self, separators: Any) -> int:
        """Where the last search for the same gave up."""
        if separators is not self.sought:
            self.sought = separators
            self.scanned = 0
        return self.scanned

    def _cut(self, count: int) -> bytes:
        end = self.start + count
        taken = bytes(self.data[self.start : end])
        self.start = end
        self.scanned = 0
        pending = len(self.data) - end
        if pending == 0:
            self.data, self.start = b"", 0
        if self._paused and pending <= self._limit:
            self._release()
        return taken


def _ordered(separator: bytes | tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What to search for, the shortest first."""
    if type(separator) is bytes and separator:
        return (separator,)
    given = separator if isinstance(separator, tuple) else (separator,)
    found = tuple(sorted((b"".join((item,)) for item in given), key=len))  # bytes() would take a number
    if not found:
        raise ValueError("Separator should contain at least one element")
    if not found[0]:
        raise ValueError("Separator should be at least one-byte string")
    return found
