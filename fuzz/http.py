"""HTTP/1.1: requests and responses, whole and streamed, and fields looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cores import load_core
from http_kit import described, joined

from .harness import Case, Outcome, Receiver, alike, compare, cuts, fed, few, received, same
from .harness import described as described_error

PARSERS = ["RequestParser", "ResponseParser"]
LIMITS: list[dict[str, int]] = [{}, {"max_line": 40, "max_head": 120, "max_headers": 4, "max_body": 12}]

# What the responses answer.
ASKED = [(), ("HEAD",), ("GET", "CONNECT"), ("HEAD", "POST", "HEAD", "CONNECT")]


def check(data: bytes) -> None:
    case = Case(data)
    name, limits, asked = case.choose(PARSERS), case.choose(LIMITS), case.choose(ASKED)
    mode, habits = case.byte(), case.byte()
    sizes = case.sizes()
    stream = case.rest()
    streaming, ends, connected, declines = (bool(mode & bit) for bit in (1, 2, 4, 8))

    def make(core: str) -> Any:
        parser = getattr(load_core(core).http, name)(streaming=streaming, **limits)
        for method in asked if name == "ResponseParser" else ():
            parser.expect(method)
        return parser

    def read(parser: Any) -> Iterator[Any]:
        while (message := next_message(parser, declines)) is not None:
            yield told(message)

    def finish(parser: Any) -> Iterator[Any]:
        if ends or connected:
            parser.feed_eof()
            yield from read(parser)
        yield at_rest(parser)

    def alone(core: str, pieces: list[bytes]) -> Outcome:
        return in_whole(fed(core, make(core), pieces, read, finish))

    def over(core: str, pieces: list[bytes]) -> Outcome:
        receiver = Exchanges(make(core), habits, declines, load_core(core).FramingError)
        return in_whole(received(core, receiver, pieces))

    found = compare(alone, cuts(stream, sizes))
    if connected:
        alike(compare(over, few(stream, sizes)), found, "over a connection")


def in_whole(outcome: Outcome) -> Outcome:
    """Pieces of a body are joined: they depend on how the stream was cut."""
    return outcome._replace(messages=joined(outcome.messages))


def next_message(parser: Any, declines: bool) -> Any:
    """The next message; one that declines goes on with HTTP where the peer wants another protocol."""
    if declines:
        parser.held = False
    elif not parser.held:
        parser.held = True
        same(parser.next_message(), None, "a message while the parser is held")
        parser.held = False
    return parser.next_message()


def told(message: Any) -> Any:
    """A message, or a part of one, as a plain value."""
    headers = getattr(message, "headers", None)
    if headers is None:
        return described(message)
    pairs = list(headers)
    same(type(headers)(pairs), headers, "a copy of the fields")
    same(headers[-2:], pairs[-2:], "the last two fields")
    names = [name for name, _ in pairs] + [b"host"]
    fields = [(headers.get(name.upper()), headers.get_all(name.decode()), name in headers) for name in names]
    return described(message), fields


def at_rest(parser: Any) -> tuple[bool, Any]:
    """What a parser says of itself when the stream rests."""
    waiting = parser.awaits_continue
    return parser.held, None if waiting is None else described(waiting)


class Exchanges(Receiver):
    def __init__(self, parser: Any, habits: int, declines: bool, error: type[Exception]) -> None:
        super().__init__(parser, habits)
        self.declines, self.error = declines, error

    def note(self, *items: Any) -> None:
        if self.declines:
            self.parser.held = False
        super().note(*items)

    def request_received(self, message: Any) -> None:
        self.note(told(message))

    response_received = request_received

    def body_received(self, piece: bytes) -> None:
        self.note(piece)

    def body_ended(self, trailers: Any) -> None:
        if self.declines:
            self.parser.held = False
        self.note(("End", list(trailers)))

    def continue_expected(self, request: Any) -> None:
        same(self.parser.awaits_continue, request, "the request that waits")

    def eof_received(self) -> None:
        self.habits = 0  # there is nobody to resume any more
        try:
            self.parser.feed_eof()
            self.found.append(at_rest(self.parser))
        except self.error as exc:
            self.failure = described_error(exc)
        super().eof_received()
