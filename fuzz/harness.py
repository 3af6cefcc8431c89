"""What the targets share: a case read from bytes, its stream cut into pieces, parsed and compared."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, NamedTuple

from cores import CORES, load_core

# Up to this size a stream is also fed byte by byte.
BYTE_BY_BYTE = 60

# Pieces that go over a connection: each costs system calls.
FEW = 8


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

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self) -> bytes:
        return self.data[self.at :]


class Outcome(NamedTuple):
    """What a run came to. How the stream was cut must not show in it, but in ``left`` after a failure."""

    messages: list[Any]
    failure: str  # the parser's error, or nothing
    left: int  # bytes that belong to no message


# Runs pieces of a stream through a core's parser.
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


def few(stream: bytes, sizes: tuple[int, int]) -> list[list[bytes]]:
    """One cut, into a few pieces."""
    least = len(stream) // FEW
    return [cut(stream, (max(sizes[0], least), max(sizes[1], least)))]


def cut(stream: bytes, sizes: tuple[int, int]) -> list[bytes]:
    """Pieces of the two sizes, by turns."""
    pieces = []
    at = turn = 0
    while at < len(stream):
        pieces.append(stream[at : at + sizes[turn]])
        at += sizes[turn]
        turn = 1 - turn
    return pieces


# --- without I/O ---


def fed(
    core: str,
    parser: Any,
    pieces: list[bytes],
    read: Callable[[Any], Iterable[Any]],
    finish: Callable[[Any], Iterable[Any]] = lambda parser: (),
) -> Outcome:
    """What comes out of a parser: ``read`` iterates over it after each piece, ``finish`` after the last."""
    found: list[Any] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            found.extend(read(parser))
        found.extend(finish(parser))
    except load_core(core).FramingError as exc:
        for again in (parser.next_message, lambda: parser.feed(b"\n")):
            stays_failed(again, exc)
        return Outcome(found, described(exc), parser.pending)
    left = parser.pending
    same(len(parser.take()), left, "bytes that were pending")
    return Outcome(found, "", left)


def stays_failed(again: Callable[[], Any], exc: Exception) -> None:
    try:
        again()
    except ValueError as second:
        if second is exc:
            return
    raise AssertionError("a parser that failed went on")


def described(exc: Exception) -> str:
    return f"{type(exc).__name__} {getattr(exc, 'status', '')}: {exc}"


# --- over a connection ---


class Receiver:
    """A protocol around a parser: the class of a target notes what is delivered, a bit of ``habits`` for
    each, by turns, whether to pause there."""

    transport: Any

    def __init__(self, parser: Any, habits: int) -> None:
        self.parser, self.habits = parser, habits
        self.found: list[Any] = []
        self.failure = ""
        self.left = 0
        self.lost = self.paused = False

    def get_sink(self, transport: Any) -> Any:
        self.parser.attach(self, transport)
        return self.parser

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def note(self, *items: Any) -> None:
        self.found += items
        if self.habits >> len(self.found) % 8 & 1:
            self.paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        self.left = self.parser.pending

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if exc is not None:
            self.failure = described(exc)

    def resume(self) -> None:
        self.paused = False
        self.transport.resume_reading()


def received(core: str, receiver: Receiver, pieces: list[bytes]) -> Outcome:
    """What arrives of the pieces, sent over a connection of the core's, one an iteration."""
    with connection(core, receiver) as (loop, peer):
        for piece in pieces:
            settle(loop, receiver)
            if not receiver.lost:
                peer.send(piece)
        settle(loop, receiver)
        if not receiver.lost:
            peer.shutdown(socket.SHUT_WR)
        while not receiver.lost:
            settle(loop, receiver)
    return Outcome(receiver.found, receiver.failure, receiver.left)


def settle(loop: Any, receiver: Receiver) -> None:
    loop.run_once(0)
    while receiver.paused:
        receiver.resume()
        loop.run_once(0)


@contextmanager
def connection(core: str, protocol: Any) -> Iterator[tuple[Any, socket.socket]]:
    """The core's loop, on which the protocol has a connection, and the peer of it."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with closing(peer), loop_of(core) as loop:
        loop._make_socket_transport(ours, protocol)
        yield loop, peer


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
