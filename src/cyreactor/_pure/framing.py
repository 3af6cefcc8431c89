"""Framers: from a stream of bytes to messages.

A framer is a sink, and works without any I/O just as well: ``feed`` it, then ask for messages.

What is never done twice: searching. ``scanned`` says how far the search got, so that a message in
many pieces costs what one in a single piece costs.

A limit applies to what is incomplete already. A framer that failed stays failed. Callbacks may feed
the framer, take its bytes or halt it: between two messages all state is in its attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..errors import FramingError
from ..limits import MESSAGE_LIMIT
from .sink import Sink

Buffer = bytes | bytearray | memoryview


class Framer(Sink):
    """The base of all framers: keeps the bytes; a subclass finds the messages."""

    __slots__ = ("data", "max_length", "receiver", "scanned", "start", "transport")

    max_length: int

    def __init__(self, max_length: int = MESSAGE_LIMIT) -> None:
        super().__init__()
        self.callback = "message_received"
        self.max_length = _positive("max_length", max_length)
        self.transport: Any = None  # what `send` writes to
        self.receiver: Any = None  # the protocol whose message_received is called, while attached
        self.data: bytes | bytearray = b""  # what is undelivered lies at data[start:]
        self.start = 0
        self.scanned = 0  # bytes from start on that were searched in vain

    # --- without I/O ---

    def feed(self, data: Buffer) -> None:
        """Append bytes of the stream. Raises the FramingError of a framer that failed."""
        if self.failure is not None:
            raise self.failure
        if self.start == len(self.data):
            self.data = bytes(data)
        else:
            if not isinstance(self.data, bytearray):
                self.data = bytearray(self.data)
            del self.data[: self.start]
            self.data += data
        self.start = 0

    def next_message(self) -> bytes | None:
        """The next whole message as bytes; None while it is incomplete.

        Raises FramingError where the stream goes wrong, and again on every later call.
        """
        if self.failure is not None:
            raise self.failure
        return self._cut(self.data, self.start)

    def __iter__(self) -> Framer:
        return self

    def __next__(self) -> bytes:
        message = self.next_message()
        if message is None:
            raise StopIteration
        return message

    def frame(self, message: Buffer) -> bytes:
        """The message as it goes over the wire."""
        raise NotImplementedError

    @property
    def pending(self) -> int:
        """Bytes that were fed and are not part of a message yet."""
        return len(self.data) - self.start

    # --- as a sink ---

    def attach(self, protocol: Any, transport: Any) -> None:
        """Connect the two: messages go to ``protocol.message_received``, what is sent to the transport."""
        self.receiver = protocol
        self.transport = transport

    def send(self, message: Buffer) -> None:
        """Frame a message and write it to the transport. Raises ValueError where it cannot be framed."""
        self.transport.write(self.frame(message))

    def commit(self, received: bytes) -> bool:
        if self.failure is not None:
            return True
        try:
            if received:
                self.feed(received)
            if self.receiver is not None:
                self._deliver(self.receiver.message_received)
        except FramingError as exc:
            if exc is not self.failure:
                raise
            return True
        return False

    def _deliver(self, message_received: Callable[[bytes], Any]) -> None:
        while not self.halted:
            message = self._cut(self.data, self.start)
            if message is None:
                break
            message_received(message)

    def take(self) -> bytes:
        rest = bytes(self.data[self.start :])
        self.receiver = None
        self.data = b""
        self.start = self.scanned = 0
        return rest

    def pour(self, data: bytes) -> tuple[bool, int]:
        return self.commit(data), len(data)

    # --- the bytes ---

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        """Take the message that starts there off the buffer; None while it is incomplete."""
        raise NotImplementedError

    def _taken(self, body: int, end: int, next_start: int) -> bytes:
        """The message between the two places, with the next one starting at the third."""
        self.start = next_start
        self.scanned = 0
        return bytes(self.data[body:end])

    def _too_long(self) -> FramingError:
        return self._broken(f"message longer than {self.max_length} bytes")

    def _broken(self, why: str) -> FramingError:
        self.failure = FramingError(why)
        return self.failure


class LineFramer(Framer):
    """Lines that end in LF; a CR before it belongs to the line's end.

    ``max_length`` is the limit on a line, in bytes, its end not counted.
    """

    __slots__ = ()

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        mark = end = data.find(b"\n", start + self.scanned)
        if mark < 0:
            self.scanned = size = len(data) - start
            if size > self.max_length + (size > 0 and data[-1] == 13):
                raise self._too_long()
            return None
        if mark > start and data[mark - 1] == 13:
            end -= 1
        if end - start > self.max_length:
            raise self._too_long()
        return self._taken(start, end, mark + 1)

    def frame(self, message: Buffer) -> bytes:
        """The line with its end. Raises ValueError for what is not one line within the limit."""
        line = _as_message(self, message)
        if b"\n" in line or line.endswith(b"\r"):
            raise ValueError("a line must not contain LF nor end in CR: the peer would read something else")
        return line + b"\n"


class DelimiterFramer(Framer):
    """Messages that end in a delimiter of one or more bytes.

    ``max_length`` is the limit on a message, in bytes, the delimiter not counted.
    """

    __slots__ = ("delimiter",)

    def __init__(self, delimiter: Buffer, max_length: int = MESSAGE_LIMIT) -> None:
        self.delimiter = bytes(delimiter)
        if not self.delimiter:
            raise ValueError("the delimiter must not be empty")
        super().__init__(max_length)

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        width = len(self.delimiter)
        mark = data.find(self.delimiter, start + self.scanned)
        if mark < 0:
            size = len(data) - start
            self.scanned = max(0, size - width + 1)
            if size >= self.max_length + width:
                raise self._too_long()
            return None
        if mark - start > self.max_length:
            raise self._too_long()
        return self._taken(start, mark, mark + width)

    def frame(self, message: Buffer) -> bytes:
        """The message and the delimiter. Raises ValueError where the peer would see another message."""
        whole = _as_message(self, message) + self.delimiter
        if whole.find(self.delimiter) != len(whole) - len(self.delimiter):
            raise ValueError(f"a message must not contain the delimiter {self.delimiter!r}")
        return whole


class LengthPrefixFramer(Framer):
    """Messages after their length, an unsigned integer of ``width`` 1, 2, 4 or 8 bytes.

    ``byteorder`` is "big" or "little"; ``max_length`` the limit on a message without its prefix.
    """

    __slots__ = ("byteorder", "width")

    byteorder: Literal["big", "little"]

    def __init__(
        self, width: int = 4, byteorder: Literal["big", "little"] = "big", max_length: int = MESSAGE_LIMIT
    ) -> None:
        if width not in (1, 2, 4, 8):
            raise ValueError(f"width must be 1, 2, 4 or 8 bytes, not {width!r}")
        if byteorder not in ("big", "little"):
            raise ValueError(f"byteorder must be 'big' or 'little', not {byteorder!r}")
        self.width, self.byteorder = width, byteorder
        super().__init__(max_length)
        self.max_length = min(self.max_length, 256**width - 1)

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        body = start + self.width
        if len(data) < body:
            return None
        length = int.from_bytes(data[start:body], self.byteorder)
        if length > self.max_length:
            raise self._too_long()
        if len(data) < body + length:
            return None
        return self._taken(body, body + length, body + length)

    def frame(self, message: Buffer) -> bytes:
        """The message after its length. Raises ValueError for one over the limit."""
        body = _as_message(self, message)
        return len(body).to_bytes(self.width, self.byteorder) + body


class FixedLengthFramer(Framer):
    """Messages of ``size`` bytes each."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = _positive("size", size)
        super().__init__(size)

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        end = start + self.size
        return self._taken(start, end, end) if len(data) >= end else None

    def frame(self, message: Buffer) -> bytes:
        """The message itself. Raises ValueError for one of another size."""
        body = _as_message(self, message)
        if len(body) != self.size:
            raise ValueError(f"a message has {self.size} bytes here, not {len(body)}")
        return body


class NetstringFramer(Framer):
    """Netstrings: the length in decimal, a colon, the message, a comma (cr.yp.to/proto/netstrings.txt).

    ``max_length`` is the limit on a message, in bytes, without what is around it.
    """

    __slots__ = ()

    def _cut(self, data: bytes | bytearray, start: int) -> bytes | None:
        length, at = 0, start
        while at < len(data) and 48 <= data[at] <= 57:
            if at > start and data[start] == 48:
                raise self._broken("netstring length with a leading zero")
            length = length * 10 + data[at] - 48
            if length > self.max_length:
                raise self._too_long()
            at += 1
        if at == len(data):
            return None
        if at == start or data[at] != 58:
            raise self._broken("netstring without a length and a colon")
        end = at + 1 + length
        if len(data) <= end:
            return None
        if data[end] != 44:
            raise self._broken("netstring without a comma at its end")
        return self._taken(at + 1, end, end + 1)

    def frame(self, message: Buffer) -> bytes:
        """The message as a netstring. Raises ValueError for one over the limit."""
        body = _as_message(self, message)
        return b"%d:%b," % (len(body), body)


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive number of bytes, not {value!r}")
    return value


def _as_message(framer: Framer, message: Buffer) -> bytes:
    """What is to be framed, as bytes within the framer's limit."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message must be a bytes-like object, not {type(message).__name__!r}")
    body = message if type(message) is bytes else bytes(message)
    if len(body) > framer.max_length:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {framer.max_length}")
    return body
