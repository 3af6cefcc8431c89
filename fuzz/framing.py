"""Framers: without I/O and as sinks, with raw blocks, batches and pauses in between."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from cores import CORES, load_core

from .harness import Case, Outcome, Receiver, alike, compare, cut, cuts, receive, same

Kind = tuple[str, dict[str, Any]]

# Short limits, so that they are met, and the largest.
FRAMERS: list[Kind] = [
    ("LineFramer", {"max_length": 20}),
    ("LineFramer", {"max_length": sys.maxsize}),
    ("DelimiterFramer", {"delimiter": b"ab", "max_length": 20}),
    ("DelimiterFramer", {"delimiter": b"aab", "max_length": 20}),
    ("DelimiterFramer", {"delimiter": b"\0", "max_length": sys.maxsize}),
    ("LengthPrefixFramer", {"width": 1, "max_length": 300}),
    ("LengthPrefixFramer", {"width": 2, "byteorder": "little", "max_length": 300}),
    ("LengthPrefixFramer", {"width": 4, "byteorder": "big", "max_length": 300}),
    ("LengthPrefixFramer", {"width": 8, "byteorder": "little", "max_length": sys.maxsize}),
    ("FixedLengthFramer", {"size": 3}),
    ("NetstringFramer", {"max_length": 120}),
    ("NetstringFramer", {"max_length": sys.maxsize}),
]


def check(data: bytes) -> None:
    case = Case(data)
    kind = case.choose(FRAMERS)
    sizes = case.sizes()
    mode, habits = case.byte(), case.byte()
    stream = case.rest()
    batches, connected = mode & 1, mode & 2
    found = compare(lambda core, pieces: fed(make(core, kind), pieces, batches), cuts(stream, sizes))
    if connected:
        pieces = cut(stream, (max(sizes[0], len(stream) // 8), max(sizes[1], len(stream) // 8)))
        received = compare(lambda core, pieces: sunk(core, kind, pieces, habits, batches), [pieces])
        alike(received, found, "over a connection")
    else:
        for _, message in found.messages:
            framed = [wire(make(core, kind), message) for core in CORES]
            same(framed[0], framed[-1], f"framing {message!r}")


def make(core: str, kind: Kind) -> Any:
    name, options = kind
    return getattr(load_core(core).framing, name)(**options)


def fed(framer: Any, pieces: list[bytes], batches: int) -> Outcome:
    """Without I/O: what a framer finds in the pieces."""
    found: list[tuple[str, bytes]] = []
    try:
        for piece in pieces:
            framer.feed(piece)
            found.extend(in_batches(framer) if batches else one_by_one(framer))
    except ValueError as exc:
        return Outcome(found, failure(framer, exc), framer.pending)
    left = framer.pending
    same(len(framer.take()), left, "bytes that were pending")
    return Outcome(found, "", left)


def in_batches(framer: Any) -> Iterator[tuple[str, bytes]]:
    while batch := framer.next_messages():
        yield from (("framed", message) for message in batch)


def one_by_one(framer: Any) -> Iterator[tuple[str, bytes]]:
    while True:
        kind = "raw" if framer.expects_raw else "framed"
        message = framer.next_message()
        if message is None:
            return
        yield kind, message
        if kind == "framed":
            ask(framer, message)


def failure(framer: Any, exc: ValueError) -> str:
    """The error of a framer, which it must go on raising."""
    for again in (framer.next_message, lambda: framer.feed(b"\n")):
        try:
            again()
        except ValueError as second:
            same(second, exc, "the error, once more")
        else:
            raise AssertionError("a framer that failed went on")
    return f"{type(exc).__name__}: {exc}"


def ask(framer: Any, message: bytes) -> None:
    """Have a raw block follow some messages: its size is in them."""
    if message[:1] == b"r":
        framer.expect_raw(min(len(message), 3))


def sunk(core: str, kind: Kind, pieces: list[bytes], habits: int, batches: int) -> Outcome:
    """Over a connection: what arrives."""
    protocol = protocol_class(core, Batches if batches else Messages)(make(core, kind), habits)
    receive(core, protocol, pieces)
    return Outcome(protocol.found, protocol.failure, protocol.left)


@cache
def protocol_class(core: str, writer: type[Messages]) -> Any:
    return type(writer.__name__, (writer, load_core(core).protocols.FramedProtocol), {})


class Messages(Receiver):
    """Writes down its messages, asks for raw blocks and pauses."""

    framer: Any

    def __init__(self, framer: Any, habits: int) -> None:
        self.framer, self.habits = framer, habits
        self.found: list[tuple[str, bytes]] = []
        self.left = 0

    def message_received(self, message: bytes) -> None:
        self.found.append(("framed", message))
        ask(self.framer, message)
        self.pause_by_habit()

    def raw_received(self, data: bytes) -> None:
        self.found.append(("raw", data))
        self.pause_by_habit()

    def pause_by_habit(self) -> None:
        """A bit of the habits for each message, by turns: whether to pause there."""
        if self.habits >> len(self.found) % 8 & 1:
            self.pause()

    def eof_received(self) -> None:
        self.left = self.framer.pending

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if exc is not None:
            self.failure = f"{type(exc).__name__}: {exc}"


class Batches(Messages):
    """Takes lists."""

    def messages_received(self, messages: list[bytes]) -> None:
        self.found += [("framed", message) for message in messages]
        self.pause_by_habit()


def wire(framer: Any, message: bytes) -> bytes | str:
    """A message as it is sent, or why it cannot be."""
    try:
        return framer.frame(message)
    except ValueError as exc:
        return str(exc)
