"""What the targets share: reading a case from bytes, cutting a stream, connections, comparing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, NamedTuple

from cores import CORES, load_core

# Up to this size a stream is also fed byte by byte.
BYTE_BY_BYTE = 300


class Case:
    """The fuzzer's bytes, read from the front: choices first, then the stream. Zeros follow the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def choose(self, options: Sequence[Any]) -> Any:
        return options[self.byte() % len(options)]

    def sizes(self) -> tuple[int, int]:
        """Of the pieces that the stream is cut into, by turns."""
        return self.byte() + 1, self.byte() + 1

    def rest(self) -> bytes:
        return self.data[self.at :]


class Outcome(NamedTuple):
    """What a run came to. How the stream was cut must not show in it, but in ``left`` after a failure."""

    messages: list[Any]
    failure: str  # the text of the parser's error, or nothing
    left: int  # bytes that belong to no message


Run = Callable[[str, list[bytes]], Outcome]


def compare(run: Run, cuts: list[list[bytes]]) -> Outcome:
    """Run a stream in several cuts on every core; gives what all of them came to."""
    whole: Outcome | None = None
    for pieces in cuts:
        where = f"in {len(pieces)} pieces"
        first = run(CORES[-1], pieces)
        for core in CORES[:-1]:
            same(run(core, pieces), first, f"{core}, {where}")
        whole = whole or first
        alike(first, whole, where)
    assert whole is not None
    return whole


def alike(found: Outcome, expected: Outcome, where: str) -> None:
    """What is left after a failure depends on how the stream was cut."""
    same(found._replace(left=expected.left) if found.failure else found, expected, where)


def same(found: object, expected: object, where: str) -> None:
    if found != expected:
        raise AssertionError(f"{where}:\n  {found!r}\ninstead of\n  {expected!r}")


def cuts(stream: bytes, sizes: tuple[int, int]) -> list[list[bytes]]:
    """The stream whole, in pieces, and byte by byte where that does not take long."""
    return [[stream], cut(stream, sizes), *([cut(stream, (1, 1))] if len(stream) <= BYTE_BY_BYTE else [])]


def cut(stream: bytes, sizes: tuple[int, int]) -> list[bytes]:
    """Pieces of the two sizes, by turns."""
    pieces = []
    at = turn = 0
    while at < len(stream):
        pieces.append(stream[at : at + sizes[turn]])
        at += sizes[turn]
        turn = 1 - turn
    return pieces


@contextmanager
def loop_of(core: str) -> Iterator[Any]:
    """The core's loop, as the running one; what it reports ends the run."""
    loop = _loop(core)
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    asyncio._set_running_loop(loop)
    try:
        yield loop
    finally:
        asyncio._set_running_loop(None)
    if reported:
        raise AssertionError(f"{core}: {reported[0]}") from reported[0].get("exception")


@cache
def _loop(core: str) -> Any:
    return load_core(core).new_event_loop()


def close_loops() -> None:
    for core in CORES:
        _loop(core).close()
    _loop.cache_clear()


class Receiver:
    """A protocol's side of ``receive``: the class of a target adds what it writes down."""

    transport: Any
    lost = False
    paused = False
    failure = ""

    def pause(self) -> None:
        """Hold the rest back; ``receive`` resumes."""
        if not self.transport.is_closing():
            self.paused = True
            self.pause_reading()

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.failure = str(exc or "")


def receive(core: str, protocol: Any, pieces: list[bytes]) -> None:
    """Send the pieces over a connection of the core's, one an iteration, until all is over."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with closing(peer), loop_of(core) as loop:
        loop._make_socket_transport(ours, protocol)
        loop.run_once(0)
        for piece in pieces:
            if not protocol.lost:
                peer.send(piece)
            settle(loop, protocol)
        peer.close()
        while not protocol.lost:
            settle(loop, protocol)


def settle(loop: Any, protocol: Any) -> None:
    loop.run_once(0)
    while protocol.paused:
        protocol.paused = False
        protocol.resume_reading()
        loop.run_once(0)
