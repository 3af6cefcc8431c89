"""RESP, the protocol of Redis, in versions 2 and 3: commands for servers, replies for clients.

A parser keeps the bytes of a message until it is whole, and beside them what it has made of them so
far: ``scanned`` is where it goes on, ``items`` the container that is being filled, ``outer`` those
around it. So nothing is parsed twice but the few bytes of one length, however the stream is cut; and
what a peer announces costs no memory before it is there.

Every decision is a function of the bytes alone, never of where they were cut: a line is judged when
its end is there, or cannot come any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._resp import (
    CONVERTERS,
    Push,
    as_error,
    as_verbatim,
    printable,
    split_inline,
)
from .._typing import M
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
from .resp_encoding import encode_commands, encode_replies, encode_reply

# What `_value` returns where a container opens, and one gives that closes without being a value.
MORE: Any = object()

# The first bytes of elements.
INTEGER, BULK, BULK_ERROR, VERBATIM = b":$!="
ARRAY, MAP, SET, PUSH, ATTRIBUTE = b"*%~>|"


class Parser(Framer[M]):
    """What both directions have in common: lines, lengths, bulk strings, limits."""

    __slots__ = ("after", "max_elements", "sought", "version")

    def __init__(self, max_length: int = RESP_MESSAGE_LIMIT, max_elements: int = RESP_ELEMENTS) -> None:
        super().__init__(max_length)
        if not isinstance(max_elements, int) or max_elements < 1:
            raise ValueError(f"max_elements must be a positive number, not {max_elements!r}")
        self.max_elements = max_elements
        self.version = 2  # of the protocol, for what is sent
        self.after = 0  # where the length or the string that was read last ends, in `data`
        self.sought = 0  # bytes from `scanned` on that hold no end of a line

    def expect_raw(self, count: int) -> None:
        super().expect_raw(count)
        self._forget()

    def take(self) -> bytes:
        self._forget()
        return super().take()

    def _forget(self) -> None:
        """Nothing is known of the message at `start`."""
        self.scanned = self.sought = 0

    def _line(self, data: bytes | bytearray, at: int, limit: int, name: str) -> int:
        """Where the LF of a line is, which the limit includes; -1 while it is incomplete."""
        mark = data.find(b"\n", at + self.sought, at + limit)
        if mark < 0 and len(data) - at >= limit:
            raise self._broken(f"too big {name}")
        self.sought = len(data) - at if mark < 0 else 0
        return mark

    def _length(self, data: bytes | bytearray, at: int, name: str) -> int:
        """The length in the line, -1 for null, with `after` behind it; -2 while it is incomplete."""
        mark = data.find(b"\r\n", at, at + RESP_HEADER_LIMIT)
        digits = data[at + 1 : mark]
        if mark > 0 and digits.isdigit() and (mark == at + 2 or digits[0] != 48):
            self.sought = 0
            self.after = mark + 2
            return int(digits)
        mark = self._line(data, at, RESP_HEADER_LIMIT, f"{name} count string")
        if mark < 0:
            return -2
        self.after = mark + 1
        line = data[at + 1 : mark + 1]
        if line == b"-1\r\n":
            return -1
        if line == b"?\r\n":
            raise self._broken("streamed types are not supported")
        raise self._invalid_length(name)

    def _string(self, data: bytes | bytearray, at: int) -> Any:
        """The bulk string there, None for null, with `after` behind it; NOTHING while it is incomplete."""
        length = self._length(data, at, "bulk")
        if length < 0:
            return None if length == -1 else NOTHING
        body = self.after
        end = body + length
        if end + 2 - self.start > self.max_length:
            raise self._invalid_length("bulk")
        if len(data) < end + 2:
            return NOTHING
        if data[end] != 13 or data[end + 1] != 10:
            raise self._broken("bulk string without CRLF at its end")
        self.after = end + 2
        return bytes(data[body:end])

    def _invalid_length(self, name: str) -> RESPError:
        return self._broken(f"invalid {'multibulk' if name == 'mbulk' else name} length")

    def _broken(self, why: str) -> RESPError:
        self.failure = failure = RESPError(f"Protocol error: {why}")
        return failure


class CommandParser(Parser[list[bytes]]):
    """For servers: commands, each a list of bytes; what is framed are replies, see ``encode_reply``.

    Takes arrays of bulk strings, and inline commands as somebody types them, with Redis' quoting.
    Empty commands are passed over, as Redis does. When a connection breaks the protocol, the parser
    says so to the peer (``-ERR Protocol error: …``) before the connection ends.

    ``max_length`` is the limit on a command in bytes, everything counted, and so on every string in
    it; ``max_elements`` on its elements. ``version`` is that of the protocol, 2 until the server sets
    it to 3.
    """

    __slots__ = ("items", "remaining")

    def __init__(self, max_length: int = RESP_MESSAGE_LIMIT, max_elements: int = RESP_ELEMENTS) -> None:
        super().__init__(max_length, max_elements)
        self.items: list[bytes] | None = None  # the words of the command that is coming
        self.remaining = 0  # words that it still lacks

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

    def send_all(self, messages: list[Any]) -> None:
        """Write several replies to the transport, as one piece."""
        if len(messages) == 1:
            self.send(messages[0])
        else:
            self.transport.write(encode_replies(messages, self.version))

    def _deliver(self) -> None:
        try:
            super()._deliver()
        except FramingError as exc:
            if exc is self.failure and self.transport is not None:
                self.transport.write(encode_reply(exc))
            raise

    def _forget(self) -> None:
        super()._forget()
        self.items = None

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        while self.items is None:
            start = self.start
            if start == len(data):
                return NOTHING
            if data[start] == ARRAY:
                if not self._begin(data, start):
                    return NOTHING
            else:
                words = self._inline(data, start)
                if words is NOTHING or words:
                    return words
        while self.remaining:
            at = start + self.scanned
            if at == len(data):
                return NOTHING
            if data[at] != BULK:
                raise self._broken(f"expected '$', got {printable(data[at])}")
            word = self._string(data, at)
            if word is NOTHING:
                return NOTHING
            if word is None:
                raise self._invalid_length("bulk")
            self.items.append(word)
            self.remaining -= 1
            self.scanned = self.after - start
        items, self.items = self.items, None
        self.start = start + self.scanned
        self.scanned = 0
        return items

    def _begin(self, data: bytes | bytearray, start: int) -> bool:
        """Whether the head of an array is there; an empty one is passed over."""
        count = self._length(data, start, "mbulk")
        if count == -2:
            return False
        if count > self.max_elements:
            raise self._invalid_length("mbulk")
        if count <= 0:
            self.start = self.after
        else:
            self.items = []
            self.remaining = count
            self.scanned = self.after - start
        return True

    def _inline(self, data: bytes | bytearray, start: int) -> Any:
        """The words of the line; NOTHING while it is incomplete."""
        mark = self._line(data, start, min(RESP_LINE_LIMIT, self.max_length), "inline request")
        if mark < 0:
            return NOTHING
        try:
            words = split_inline(bytes(data[start:mark]))
        except ValueError as exc:
            raise self._broken(str(exc)) from None
        if len(words) > self.max_elements:
            raise self._invalid_length("mbulk")
        self.start = mark + 1
        return words


class Container:
    """An array, a map, a set, a push or an attribute that is being filled."""

    __slots__ = ("frozen", "items", "kind", "outer", "remaining")

    def __init__(self, kind: int, count: int, outer: Container | None) -> None:
        self.kind = kind
        self.remaining = count  # elements that it still lacks, keys and values counted
        self.items: list[Any] = []
        self.outer = outer  # the one that this is an element of
        # It is a key of a map or a member of a set, or is in one.
        self.frozen: bool = outer is not None and (
            outer.frozen
            or outer.kind == SET
            or (outer.kind in (MAP, ATTRIBUTE) and outer.remaining % 2 == 0)
        )

    def value(self) -> Any:
        """What it is in Python."""
        items = self.items
        if self.kind == ARRAY:
            return tuple(items) if self.frozen else items
        if self.kind == SET:
            return frozenset(items) if self.frozen else set(items)
        if self.kind == PUSH:
            return Push(items)
        pairs = dict(zip(items[::2], items[1::2], strict=True))
        return tuple(pairs.items()) if self.frozen and self.kind == MAP else pairs


class ReplyParser(Parser[Any]):
    """For clients: replies as Python values; what is framed are commands, see ``encode_command``.

    Simple strings are str, bulk strings bytes (verbatim ones ``Verbatim``), errors ``ReplyError``,
    null is None; integers and big numbers are int, doubles float, booleans bool; arrays are lists,
    maps dicts, sets sets, what the server pushes a ``Push``. A container that is a key of a map or
    a member of a set comes as a tuple or a frozenset. ``attributes`` are those of the last reply,
    a dict or None; attributes of elements are read and dropped. Streamed types are refused.

    ``max_length`` is the limit on a reply in bytes, everything counted, ``max_elements`` on its
    elements, those of nested containers included; containers nest 64 deep.
    """

    __slots__ = ("attributes", "coming", "depth", "elements", "top")

    def __init__(self, max_length: int = RESP_MESSAGE_LIMIT, max_elements: int = RESP_ELEMENTS) -> None:
        super().__init__(max_length, max_elements)
        self.top: Container | None = None  # what is being filled
        self.depth = 0  # containers around the next element
        self.elements = 0  # announced by all containers of this reply
        self.coming: dict[Any, Any] | None = None  # the attributes of this reply
        self.attributes: dict[Any, Any] | None = None

    def frame(self, message: Any) -> bytes:
        """The command as it goes over the wire: a list or tuple of its words."""
        return encode_commands((message,))

    def frame_all(self, messages: Iterable[Any]) -> bytes:
        """Several commands as they go over the wire."""
        return encode_commands(messages)

    def send(self, message: Any) -> None:
        """Write a command to the transport."""
        self.transport.write(encode_commands((message,)))

    def send_all(self, messages: list[Any]) -> None:
        """Write several commands to the transport, as one piece."""
        self.transport.write(encode_commands(messages))

    def _forget(self) -> None:
        super()._forget()
        self.top = self.coming = self.attributes = None
        self.depth = self.elements = 0

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        while True:
            at = start + self.scanned
            if at == len(data):
                return NOTHING
            value = self._value(data, at)
            if value is NOTHING:
                return NOTHING
            self.scanned = self.after - start
            if self.scanned > self.max_length:
                raise self._too_long()
            while value is not MORE:
                top = self.top
                if top is None:
                    return self._whole(value)
                top.items.append(value)
                top.remaining -= 1
                if top.remaining:
                    break
                value = self._close(top)

    def _whole(self, value: Any) -> Any:
        self.start = self.after
        self.scanned = self.elements = 0
        self.attributes, self.coming = self.coming, None
        return value

    def _value(self, data: bytes | bytearray, at: int) -> Any:
        """The element that starts there, with `after` behind it; MORE where a container opens.

        NOTHING while it is incomplete.
        """
        kind = data[at]
        if kind == BULK:
            return self._string(data, at)
        if kind in (ARRAY, MAP, SET, PUSH, ATTRIBUTE):
            return self._open(data, at, kind)
        if kind in (BULK_ERROR, VERBATIM):
            return self._text(data, at, kind)
        return self._scalar(data, at, kind)

    def _scalar(self, data: bytes | bytearray, at: int, kind: int) -> Any:
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
        self.after = mark + 1
        return self._converted(convert, line)

    def _text(self, data: bytes | bytearray, at: int, kind: int) -> Any:
        """An error or a verbatim string that is sent as a bulk string is."""
        text = self._string(data, at)
        if text is NOTHING:
            return NOTHING
        if text is None:
            raise self._invalid_length("bulk")
        return self._converted(as_error if kind == BULK_ERROR else as_verbatim, text)

    def _converted(self, convert: Callable[[bytes], Any], text: bytes) -> Any:
        try:
            return convert(text)
        except ValueError as exc:
            raise self._broken(str(exc)) from None

    def _open(self, data: bytes | bytearray, at: int, kind: int) -> Any:
        """Begin a container: MORE, or its value at once where it is empty; NOTHING while it is incomplete."""
        count = self._length(data, at, "mbulk")
        if count == -2:
            return NOTHING
        if count == -1 and kind == ARRAY:
            return None
        if kind in (MAP, ATTRIBUTE):
            count *= 2
        if count < 0 or count > self.max_elements - self.elements:
            raise self._invalid_length("mbulk")
        self.elements += count
        if kind == PUSH and self.top is not None:
            raise self._broken("push inside of a reply")
        if self.depth == RESP_DEPTH:
            raise self._broken(f"nested deeper than {RESP_DEPTH}")
        self.depth += 1
        self.top = top = Container(kind, count, self.top)
        return MORE if count else self._close(top)

    def _close(self, top: Container) -> Any:
        """The value of the container that was filled; MORE for an attribute, which is none."""
        self.top = top.outer
        self.depth -= 1
        value = top.value()
        if top.kind != ATTRIBUTE:
            return value
        if self.top is None:
            self.coming = value
        return MORE
