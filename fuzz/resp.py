"""RESP: commands and replies, with raw blocks in between, and encoded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cores import load_core

from .harness import Case, Outcome, Receiver, alike, compare, cuts, fed, few, received

PARSERS = ["CommandParser", "ReplyParser"]
LIMITS: list[dict[str, int]] = [{}, {"max_length": 60, "max_elements": 6}]


def check(data: bytes) -> None:
    case = Case(data)
    name, limits = case.choose(PARSERS), case.choose(LIMITS)
    mode, habits = case.byte(), case.byte()
    sizes = case.sizes()
    stream = case.rest()
    batches, connected = mode & 1, mode & 2

    def alone(core: str, pieces: list[bytes]) -> Outcome:
        dialect = Dialect(core, name, limits)
        return fed(core, dialect.parser, pieces, dialect.in_batches if batches else dialect.one_by_one)

    def over(core: str, pieces: list[bytes]) -> Outcome:
        writer = Batches if batches else Messages
        return received(core, writer(Dialect(core, name, limits), habits), pieces)

    found = compare(alone, cuts(stream, sizes))
    if connected:
        alike(compare(over, few(stream, sizes)), found, "over a connection")


class Dialect:
    """A parser, and what it gives as plain values."""

    def __init__(self, core: str, name: str, limits: dict[str, int]) -> None:
        self.resp = load_core(core).resp
        self.parser = getattr(self.resp, name)(**limits)
        self.replies = name == "ReplyParser"

    def in_batches(self, parser: Any) -> Iterator[Any]:
        while batch := parser.next_messages():
            yield from map(self.plain, batch)

    def one_by_one(self, parser: Any) -> Iterator[Any]:
        while True:
            raw = parser.expects_raw
            message = parser.next_message(parser)  # None may be a reply
            if message is parser:
                return
            yield ("raw", message) if raw else self.told(message)

    def told(self, message: Any) -> Any:
        """A message, with its attributes; a raw block may follow it."""
        attributes = self.parser.attributes if self.replies else None
        if message in ([b"raw"], b"raw"):
            self.parser.expect_raw(3)
        return self.plain(message), plain(attributes)

    def plain(self, message: Any) -> Any:
        return plain(message), self.encoded(message)

    def encoded(self, message: Any) -> Any:
        """How it is sent: a command as it would be, a reply in both versions."""
        if not self.replies:
            return self.resp.encode_command(*message)
        try:
            return self.resp.encode_reply(message, 2), self.resp.encode_reply(message, 3)
        except ValueError as exc:
            return str(exc)


def plain(value: Any) -> Any:
    """A value in which types are told apart, as 1 and True are not."""
    name = type(value).__name__
    if isinstance(value, dict):
        return name, [(plain(key), plain(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return name, sorted(map(repr, map(plain, value)))
    if isinstance(value, (list, tuple)):
        return name, list(map(plain, value))
    return name, repr(value), value.format if name == "Verbatim" else ""


class Messages(Receiver):
    def __init__(self, dialect: Dialect, habits: int) -> None:
        super().__init__(dialect.parser, habits)
        self.dialect = dialect

    def message_received(self, message: Any) -> None:
        self.note(self.dialect.told(message))

    def raw_received(self, data: bytes) -> None:
        self.note(("raw", data))


class Batches(Messages):
    def messages_received(self, messages: list[Any]) -> None:
        self.note(*map(self.dialect.plain, messages))
