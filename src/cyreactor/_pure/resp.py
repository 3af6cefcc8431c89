"""RESP, the protocol of Redis, in versions 2 and 3: commands for servers, replies for clients.

A parser keeps the bytes of a message until it is whole, and beside them what it has made of them so
far: ``scanned`` is where it goes on, ``items`` the container that is being filled, ``outer`` those
around it. So nothing is parsed twice but the few bytes of one length, however the stream is cut; and
what a peer announces costs no memory before it is there.

Every decision is a function of the bytes alone, never of where they were cut: a line is judged when
its end is there, or cannot come any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._resp import (
    CONVERTERS,
    Push,
    as_error,
    as_verbatim,
    as_version,
    as_word,
    as_words,
    encode_scalar,
    printable,
    split_inline,
)
from ..errors import FramingError, RESPError
from ..limits import (
    GATHER_FROM,
    RESP_DEPTH,
    RESP_ELEMENTS,
    RESP_HEADER_LIMIT,
    RESP_LINE_LIMIT,
    RESP_MESSAGE_LIMIT,
)
from .framing import NOTHING, Framer

# What `_value` and `_close` return when there is no value yet: go on with the next element.
MORE: Any = object()

# The first bytes of elements.
INTEGER, BULK, BULK_ERROR, VERBATIM = b":$!="
ARRAY, MAP, SET, PUSH, ATTRIBUTE = b"*%~>|"


class Parser(Framer):
    """What both directions have in common: lines, lengths, bulk strings, limits."""

    __slots__ = ("after", "elements", "items", "max_elements", "remaining", "sought", "version")

    def __init__(self, max_length: int = RESP_MESSAGE_LIMIT, max_elements: int = RESP_ELEMENTS) -> None:
        super().__init__(max_length)
        if not isinstance(max_elements, int) or max_elements < 1:
            raise ValueError(f"max_elements must be a positive number, not {max_elements!r}")
        self.max_elements = max_elements
        self.version = 2  # of the protocol, for what is sent
        self.after = 0  # where the length that was read last ends
        self._forget()

    def expect_raw(self, count: int) -> None:
        super().expect_raw(count)
        self._forget()

    def take(self) -> bytes:
        self._forget()
        return super().take()

    def _forget(self) -> None:
        """Nothing is known of the message at `start`."""
        self.scanned = 0  # what is parsed already, from `start` on
        self.sought = 0  # bytes from there on that hold no end of a line
        self.items: Any = None  # the container that is being filled; None between messages
        self.remaining = 0  # elements that it still lacks
        self.elements = 0  # announced by all containers of this message

    def _whole(self, message: Any, end: int) -> Any:
        self.start = end
        self._forget()
        return message

    def _line(self, data: bytes | bytearray, at: int, limit: int, name: str) -> int:
        """Where the LF of a line is, which the limit includes; -1 while it is incomplete."""
        mark = data.find(b"\n", at + self.sought, at + limit)
        if mark < 0 and len(data) - at >= limit:
            raise self._broken(f"too big {name}")
        self.sought = len(data) - at if mark < 0 else 0
        return mark

    def _length(self, data: bytes | bytearray, at: int, name: str) -> int:
        """The length in the line, -1 for null, with `after` behind it; -2 while it is incomplete."""
        mark = self._line(data, at, RESP_HEADER_LIMIT, f"{name} count string")
        if mark < 0:
            return -2
        self.after = mark + 1
        digits = data[at + 1 : mark - 1]
        if data[mark - 1] == 13:
            if digits.isdigit() and (digits[0] != 48 or len(digits) == 1):
                return int(digits)
            if digits == b"-1":
                return -1
        raise self._invalid_length(name)

    def _bulk(self, data: bytes | bytearray, at: int) -> Any:
        """The bulk string there, None for null; NOTHING while it is incomplete."""
        length = self._length(data, at, "bulk")
        if length == -2:
            return NOTHING
        body = self.after
        if length < 0:
            self.scanned = body - self.start
            return None
        end = body + length
        if end + 2 - self.start > self.max_length:
            raise self._invalid_length("bulk")
        if len(data) < end + 2:
            return NOTHING
        if data[end] != 13 or data[end + 1] != 10:
            raise self._broken("bulk string without CRLF at its end")
        self.scanned = end + 2 - self.start
        return bytes(data[body:end])

    def _invalid_length(self, name: str) -> RESPError:
        return self._broken(f"invalid {'multibulk' if name == 'mbulk' else name} length")

    def _broken(self, why: str) -> RESPError:
        self.failure = failure = RESPError(f"Protocol error: {why}")
        return failure


class CommandParser(Parser):
    """For servers: commands, each a list of bytes; what is framed are replies, see ``encode_reply``.

    Takes arrays of bulk strings, and inline commands as somebody types them, with Redis' quoting.
    Empty commands are passed over, as Redis does. When a connection breaks the protocol, the parser
    says so to the peer (``-ERR Protocol error: …``) before the connection ends.

    ``max_length`` is the limit on a command in bytes, everything counted, and so on every string in
    it; ``max_elements`` on its elements. ``version`` is that of the protocol, 2 until the server sets
    it to 3.
    """

    __slots__ = ()

    def frame(self, message: Any) -> bytes:
        """The reply as it goes over the wire."""
        return encode_reply(message, self.version)

    def frame_all(self, messages: Iterable[Any]) -> bytes:
        """Several replies as they go over the wire."""
        return encode_replies(messages, self.version)

    def send(self, message: Any) -> None:
        """Write a reply to the transport."""
        if type(message) is bytes and len(message) >= GATHER_FROM:
            self.transport.writelines((b"$%d\r\n" % len(message), message, b"\r\n"))
        else:
            self.transport.write(encode_reply(message, self.version))

    def _deliver(self) -> None:
        try:
            super()._deliver()
        except FramingError as exc:
            if exc is self.failure and self.transport is not None:
                self.transport.write(encode_reply(exc))
            raise

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        while self.items is None:
            if self.start == len(data):
                return NOTHING
            if data[self.start] != ARRAY:
                words = self._inline(data, self.start)
                if words is None or words:
                    return NOTHING if words is None else words
            elif not self._begin(data, self.start):
                return NOTHING
        while self.remaining:
            at = self.start + self.scanned
            if at == len(data):
                return NOTHING
            if data[at] != BULK:
                raise self._broken(f"expected '$', got {printable(data[at])}")
            word = self._bulk(data, at)
            if word is NOTHING:
                return NOTHING
            if word is None:
                raise self._invalid_length("bulk")
            self.items.append(word)
            self.remaining -= 1
        return self._whole(self.items, self.start + self.scanned)

    def _begin(self, data: bytes | bytearray, start: int) -> bool:
        """Whether the head of an array is there."""
        count = self._length(data, start, "mbulk")
        if count == -2:
            return False
        if count > self.max_elements:
            raise self._invalid_length("mbulk")
        if count <= 0:
            self._whole(None, self.after)
        else:
            self.items = []
            self.remaining = count
            self.scanned = self.after - start
        return True

    def _inline(self, data: bytes | bytearray, start: int) -> list[bytes] | None:
        """The words of the line; None while it is incomplete."""
        mark = self._line(data, start, min(RESP_LINE_LIMIT, self.max_length), "inline request")
        if mark < 0:
            return None
        try:
            words = split_inline(bytes(data[start:mark]))
        except ValueError as exc:
            raise self._broken(str(exc)) from None
        if len(words) > self.max_elements:
            raise self._invalid_length("mbulk")
        self._whole(None, mark + 1)
        return words


class ReplyParser(Parser):
    """For clients: replies as Python values; what is framed are commands, see ``encode_command``.

    Simple strings are str, bulk strings bytes (verbatim ones ``Verbatim``), errors ``ReplyError``,
    null is None; integers and big numbers are int, doubles float, booleans bool; arrays are lists,
    maps dicts, sets sets, what the server pushes a ``Push``. A container that is a key of a map or
    a member of a set comes as a tuple or a frozenset. ``attributes`` are those of the last reply,
    a dict or None; attributes of elements are read and dropped. Streamed types are refused.

    ``max_length`` is the limit on a reply in bytes, everything counted, ``max_elements`` on its
    elements, those of nested containers included; containers nest 64 deep.
    """

    __slots__ = ("attributes", "coming", "frozen", "kind", "outer")

    def frame(self, message: Any) -> bytes:
        """The command as it goes over the wire: a list or tuple of its words."""
        return encode_command(*as_words(message))

    def frame_all(self, messages: Iterable[Any]) -> bytes:
        """Several commands as they go over the wire."""
        return b"".join([encode_command(*as_words(message)) for message in messages])

    def send(self, message: Any) -> None:
        """Write a command to the transport."""
        self.transport.write(encode_command(*as_words(message)))

    def _forget(self) -> None:
        super()._forget()
        self.kind = ARRAY  # of `items`
        self.frozen = False  # they are, or are in, a key of a map or a member of a set
        self.outer: list[Any] = []  # the containers around, each with its remaining, kind and frozen
        self.coming: dict[Any, Any] | None = None  # the attributes of this message
        self.attributes: dict[Any, Any] | None = None

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        while True:
            at = start + self.scanned
            if at == len(data):
                return NOTHING
            value = self._value(data, at)
            if value is NOTHING:
                return NOTHING
            if self.scanned > self.max_length:
                raise self._too_long()
            while value is not MORE:
                if self.items is None:
                    return self._reply(value, start + self.scanned)
                self.items.append(value)
                self.remaining -= 1
                if self.remaining:
                    break
                value = self._close()

    def _reply(self, value: Any, end: int) -> Any:
        attributes = self.coming
        self._whole(None, end)
        self.attributes = attributes
        return value

    def _value(self, data: bytes | bytearray, at: int) -> Any:
        """The element that starts there; MORE where a container opens, NOTHING while it is incomplete."""
        kind = data[at]
        if kind in (BULK, BULK_ERROR, VERBATIM):
            return self._string(data, at, kind)
        if kind in (ARRAY, MAP, SET, PUSH, ATTRIBUTE):
            return self._open(data, at, kind)
        convert = CONVERTERS.get(kind)
        if convert is None:
            raise self._broken(f"unknown type {printable(kind)}")
        limit = RESP_HEADER_LIMIT if kind == INTEGER else min(RESP_LINE_LIMIT, self.max_length)
        mark = self._line(data, at, limit, "line")
        if mark < 0:
            return NOTHING
        line = bytes(data[at + 1 : mark - 1])
        if data[mark - 1] != 13 or 13 in line:
            raise self._broken("line without CRLF at its end")
        self.scanned = mark + 1 - self.start
        try:
            return convert(line)
        except ValueError as exc:
            raise self._broken(str(exc)) from None

    def _string(self, data: bytes | bytearray, at: int, kind: int) -> Any:
        self._refuse_streamed(data, at)
        text = self._bulk(data, at)
        if kind == BULK or text is NOTHING:
            return text
        if text is None:
            raise self._invalid_length("bulk")
        if kind == BULK_ERROR:
            return as_error(text)
        try:
            return as_verbatim(text)
        except ValueError as exc:
            raise self._broken(str(exc)) from None

    def _open(self, data: bytes | bytearray, at: int, kind: int) -> Any:
        """Begin a container: MORE, or at once its value where it is empty; NOTHING while it is incomplete."""
        self._refuse_streamed(data, at)
        count = self._length(data, at, "mbulk")
        if count == -2:
            return NOTHING
        self.scanned = self.after - self.start
        if count == -1 and kind == ARRAY:
            return None
        if kind in (MAP, ATTRIBUTE):
            count *= 2
        self.elements += count
        if count < 0 or self.elements > self.max_elements:
            raise self._invalid_length("mbulk")
        if kind == PUSH and self.items is not None:
            raise self._broken("push inside of a reply")
        if len(self.outer) == RESP_DEPTH:
            raise self._broken(f"nested deeper than {RESP_DEPTH}")
        is_key = self.kind == SET or (self.kind in (MAP, ATTRIBUTE) and self.remaining % 2 == 0)
        self.outer.append((self.items, self.remaining, self.kind, self.frozen))
        self.frozen = self.frozen or is_key
        self.items, self.remaining, self.kind = [], count, kind
        return MORE if count else self._close()

    def _close(self) -> Any:
        """The container that was filled as a value, with the one around it in its place."""
        kind, items, frozen = self.kind, self.items, self.frozen
        self.items, self.remaining, self.kind, self.frozen = self.outer.pop()
        if kind == ARRAY:
            return tuple(items) if frozen else items
        if kind == SET:
            return frozenset(items) if frozen else set(items)
        if kind == PUSH:
            return Push(items)
        pairs = dict(zip(items[::2], items[1::2], strict=True))
        if kind == MAP:
            return tuple(pairs.items()) if frozen else pairs
        if self.items is None:
            self.coming = pairs
        return MORE

    def _refuse_streamed(self, data: bytes | bytearray, at: int) -> None:
        if len(data) > at + 1 and data[at + 1] == 63:
            raise self._broken("streamed types are not supported")


# --- what is sent ---


def encode_command(*words: Any) -> bytes:
    """A command as an array of bulk strings. Words are bytes-like objects, str, int or float."""
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        body = word if type(word) is bytes else as_word(word)
        pieces.append(b"$%d\r\n%b\r\n" % (len(body), body))
    return b"".join(pieces)


def encode_reply(value: Any, version: int = 2) -> bytes:
    """A Python value as a reply of the protocol's version 2 or 3.

    str is a simple string (ValueError where it holds a CR or LF), a bytes-like object a bulk string,
    an exception an error: a ReplyError as it is, any other after ``ERR``. In version 2, which has no
    such types, None is a null bulk string, a bool the integer 1 or 0, a float and an integer of more
    than 64 bits a bulk string, a dict an array of keys and values, a set and a Push an array.

    Raises TypeError for other types and ValueError for what is nested deeper than a parser takes.
    """
    pieces: list[bytes] = []
    put(pieces, value, as_version(version), 0)
    return b"".join(pieces)


def encode_replies(values: Iterable[Any], version: int = 2) -> bytes:
    """Several values as replies one after the other, see ``encode_reply``."""
    pieces: list[bytes] = []
    as_version(version)
    for value in values:
        put(pieces, value, version, 0)
    return b"".join(pieces)


def put(pieces: list[bytes], value: Any, version: int, depth: int) -> None:
    """Encode a value that is `depth` containers deep."""
    kind = type(value)
    if kind is bytes:
        pieces.append(b"$%d\r\n%b\r\n" % (len(value), value))
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        put_container(pieces, value, version, depth)
    else:
        pieces.append(encode_scalar(value, version))


def put_container(pieces: list[bytes], value: Any, version: int, depth: int) -> None:
    if depth == RESP_DEPTH:
        raise ValueError(f"a reply must not be nested deeper than {RESP_DEPTH}")
    items = value
    mark, count = b"*", len(value)
    if isinstance(value, dict):
        mark, count = (b"%", count) if version == 3 else (mark, 2 * count)
        items = [item for pair in value.items() for item in pair]
    elif version == 3 and isinstance(value, (set, frozenset)):
        mark = b"~"
    elif version == 3 and isinstance(value, Push):
        mark = b">"
    pieces.append(b"%b%d\r\n" % (mark, count))
    for item in items:
        put(pieces, item, version, depth + 1)
