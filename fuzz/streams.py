"""Stream readers: a script of feeding, reading and cancelling, on every core and on asyncio's reader.

Coroutines are driven by hand, as a task does it: so anything may happen between the moment when one is
woken and the moment when it goes on.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from typing import Any

from cores import CORES, load_core

from .harness import Case, connection, same

LIMITS = [1, 4, 16, 300]
SEPARATORS: list[Any] = [b"\n", b"ab", b"aab", b"\r\n\r\n", b"", (b"b", b"aab"), (b"aa", b"ab", b"aab")]
COUNTS = [-1, 0, 1, 2, 3, 7, 20, 100, 1000, sys.maxsize]

# What a script consists of, each with a function that reads its argument.
ACTIONS: list[tuple[str, Any]] = [
    ("feed", lambda case: case.bytes(case.byte() % 64)),
    ("readline", lambda case: ()),
    ("readuntil", lambda case: (case.choose(SEPARATORS),)),
    ("readexactly", lambda case: (case.choose(COUNTS),)),
    ("read", lambda case: (case.choose(COUNTS),)),
    ("__anext__", lambda case: ()),
    ("cancel", lambda case: ()),
    ("throw", lambda case: ()),
    ("close", lambda case: ()),
    ("take_back", lambda case: ()),
    ("fail", lambda case: ()),
    ("end", lambda case: ()),
]
MOST = 40  # actions

# asyncio's reader takes several separators since then.
SEVERAL = sys.version_info >= (3, 13)

Script = list[tuple[str, Any, bool]]


def check(data: bytes) -> None:
    case = Case(data)
    limit = case.choose(LIMITS)
    mode = case.byte()
    script = list(actions(case))
    if mode & 1:
        plays = [ordinary(load_core(core).StreamReader, limit, script).trace for core in CORES]
        same(plays[-1], ordinary(asyncio.StreamReader, limit, script).trace, "instead of asyncio's")
    elif mode & 2:
        plays = [over_a_connection(core, limit, script) for core in CORES]
    else:
        plays = [wild(core, limit, script) for core in CORES]
    same(plays[0], plays[-1], CORES[0])


def actions(case: Case) -> Iterator[tuple[str, Any, bool]]:
    """Each with its arguments, and whether coroutines that were woken go on after it."""
    for _ in range(MOST):
        if case.at >= len(case.data):
            return
        code = case.byte()
        name, arguments = ACTIONS[code % len(ACTIONS)]
        yield name, arguments(case), code < 128


class Failure(Exception):
    """What breaks a stream."""


class Futures:
    """What a reader needs of a loop."""

    def create_future(self) -> Any:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A future's error that nobody asked for: its coroutine was closed."""


class Play:
    """One reader's run of a script: ``trace`` is what its reads gave, ``held`` how it held the peer back."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.trace: list[Any] = []
        self.held: list[Any] = []
        self.waiting: list[tuple[Any, Any]] = []  # a coroutine, and the future that it waits for
        self.ended = False

    def run(self, script: Script) -> Play:
        for name, arguments, on in script:
            self.act(name, arguments)
            if on:
                self.go_on()
        self.go_on()
        for coroutine, _ in self.waiting:
            coroutine.close()
        return self

    def act(self, name: str, arguments: Any) -> None:
        if hasattr(Play, name):
            getattr(self, name)(arguments)
        else:
            self.advance(getattr(self.reader, name)(*arguments))

    def advance(self, coroutine: Any, exc: BaseException | None = None) -> None:
        """Let a coroutine run until it waits or ends."""
        try:
            future = coroutine.send(None) if exc is None else coroutine.throw(exc)
        except StopIteration as stop:
            self.trace.append(stop.value)
        except (ValueError, EOFError, RuntimeError, Failure) as error:
            self.trace.append((type(error).__name__, str(error), getattr(error, "partial", b"")))
        except (asyncio.LimitOverrunError, asyncio.CancelledError, StopAsyncIteration) as error:
            self.trace.append((type(error).__name__, str(error), getattr(error, "consumed", 0)))
        else:
            self.waiting.append((coroutine, future))

    def go_on(self) -> None:
        """Whoever was woken goes on, as a task would have it."""
        while done := [item for item in self.waiting if item[1].done()]:
            self.waiting = [item for item in self.waiting if item not in done]
            for coroutine, future in done:
                exc = asyncio.CancelledError() if future.cancelled() else future.exception()
                self.advance(coroutine, exc)

    # --- actions ---

    def feed(self, data: bytes) -> None:
        if not self.ended:
            self.reader.feed_data(data)

    def end(self, _: Any) -> None:
        self.ended = True
        self.reader.feed_eof()
        self.trace.append(self.reader.at_eof())

    def fail(self, _: Any) -> None:
        self.reader.set_exception(Failure("broken"))

    def take_back(self, _: Any) -> None:
        self.trace.append(self.reader._take_back())

    def cancel(self, _: Any) -> None:
        if self.waiting:
            self.waiting[-1][1].cancel()

    def throw(self, _: Any) -> None:
        if self.waiting:
            self.advance(self.waiting.pop()[0], asyncio.CancelledError())

    def close(self, _: Any) -> None:
        if self.waiting:
            self.waiting.pop()[0].close()

    # --- as a transport ---

    def pause_reading(self) -> None:
        self.held.append((len(self.trace), "paused"))

    def resume_reading(self) -> None:
        self.held.append((len(self.trace), "resumed"))


class Ordinary(Play):
    """What asyncio's reader and ours have in common: one coroutine at a time, driven at once.

    asyncio's loses what it has when read(-1) is cancelled or fails.
    """

    everything = False  # is being read

    def act(self, name: str, arguments: Any) -> None:
        waits = bool(self.waiting)
        ends = name in ("cancel", "throw", "close", "fail")
        if name == "take_back" or (ends and waits and self.everything):
            return
        if not hasattr(Play, name):
            several = bool(arguments) and isinstance(arguments[0], tuple)
            if waits or (several and not SEVERAL):
                return
            self.everything = name == "read" and arguments[0] < 0
        super().act(name, arguments)
        self.go_on()

    def end(self, _: Any) -> None:
        self.ended = True
        self.reader.feed_eof()


def wild(core: str, limit: int, script: Script) -> Any:
    """Anything at any time."""
    reader = load_core(core).StreamReader(limit, Futures())
    play = Play(reader)
    reader.set_transport(play)
    return play.run(script).trace, play.held, reader.pending


def ordinary(make: Any, limit: int, script: Script) -> Play:
    reader = make(limit, loop=Futures())
    play = Ordinary(reader)
    reader.set_transport(play)
    return play.run(script)


class Connected(Play):
    """The reader is the sink of a connection."""

    def __init__(self, reader: Any) -> None:
        super().__init__(reader)
        self.lost = False

    def begin(self, loop: Any, peer: socket.socket) -> None:
        self.loop, self.peer = loop, peer

    def act(self, name: str, arguments: Any) -> None:
        super().act(name, arguments)
        for _ in range(2):  # resumed, then read
            self.loop.run_once(0)

    def feed(self, data: bytes) -> None:
        if not self.ended:
            self.peer.send(data)

    def end(self, _: Any) -> None:
        if not self.ended:
            self.ended = True
            self.peer.shutdown(socket.SHUT_WR)

    # --- as a protocol ---

    def get_sink(self, transport: Any) -> Any:
        self.transport = transport
        self.reader.set_transport(transport)
        return self.reader

    def connection_made(self, transport: Any) -> None:
        """Nothing: get_sink was called."""

    def eof_received(self) -> bool:
        self.reader.feed_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


def over_a_connection(core: str, limit: int, script: Script) -> Any:
    play = Connected(load_core(core).StreamReader(limit, Futures()))
    with connection(core, play) as (loop, peer):
        play.begin(loop, peer)
        play.run(script)
        play.transport.abort()
        while not play.lost:
            loop.run_once(0)
    return play.trace, play.reader.pending
