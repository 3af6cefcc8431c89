"""Framers: messages, batches of them, and raw blocks in between."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from cores import CORES, load_core

from .harness import Case, Receiver, alike, compare, cuts, fed, few, received, same

# Short limits, so that they are met, and the largest.
FRAMERS: list[tuple[str, dict[str, Any]]] = [
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
    name, options = case.choose(FRAMERS)
    sizes = case.sizes()
    mode, habits = case.byte(), case.byte()
    stream = case.rest()
    read, writer = (in_batches, Batches) if mode & 1 else (one_by_one, Messages)

    def make(core: str) -> Any:
        return getattr(load_core(core).framing, name)(**options)

    found = compare(lambda core, pieces: fed(core, make(core), pieces, read), cuts(stream, sizes))
    if mode & 2:
        connected = compare(
            lambda core, pieces: received(core, writer(make(core), habits), pieces), few(stream, sizes)
        )
        alike(connected, found, "over a connection")
    for _, message in found.messages:
        framed = [wire(make(core), message) for core in CORES]
        same(framed[0], framed[-1], f"framing {message!r}")


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


def ask(framer: Any, message: bytes) -> None:
    """Have a raw block follow some messages: its size is in them."""
    if message[:1] == b"r":
        framer.expect_raw(min(len(message), 3))


class Messages(Receiver):
    """Asks for raw blocks, too."""

    def message_received(self, message: bytes) -> None:
        ask(self.parser, message)
        self.note(("framed", message))

    def raw_received(self, data: bytes) -> None:
        self.note(("raw", data))


class Batches(Receiver):
    def messages_received(self, messages: list[bytes]) -> None:
        self.note(*(("framed", message) for message in messages))


def wire(framer: Any, message: bytes) -> bytes | str:
    """A message as it is sent, or why it cannot be."""
    try:
        framed: bytes = framer.frame(message)
    except ValueError as exc:
        return str(exc)
    return framed
