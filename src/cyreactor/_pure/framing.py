"""Framers: from a stream of bytes to messages.

A framer is a sink, and works without any I/O just as well: ``feed`` it, then ask for messages.

What is never done twice: searching. ``scanned`` says how far the search got, so that a message in
many pieces costs what one in a single piece costs.

A limit applies to what is incomplete already. A framer that failed stays failed. Callbacks may feed
the framer, take its bytes or halt it: between two messages all state is in its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import index
from typing import Any, Generic, Literal, overload

from .._typing import D, M
from ..errors import FramingError
from ..limits import GATHER_FROM, LARGEST_LIMIT, MESSAGE_LIMIT
from .intake import Buffer, Intake

# What `_cut` returns while the message is incomplete: None may be one.
NOTHING: Any = object()


class Framer(Intake, Generic[M]):
    """The base of all framers: keeps the bytes; a subclass finds the messages, of type ``M``."""

    __slots__ = ("batches", "max_length", "raw", "receiver", "scanned", "transport")

    max_length: int

    def __init__(self, max_length: int = MESSAGE_LIMIT) -> None:
        super().__init__()
        self.callback = "message_received"
        self.max_length = _positive("max_length", max_length)
        self.transport: Any = None  # what `send` writes to
        self.receiver: Any = None  # the protocol whose message_received is called, while attached
        self.batches = False  # it takes whole lists, by messages_received
        self.scanned = 0  # bytes from start on that were searched in vain
        self.raw = -1  # the size of the raw block that comes next; -1 when framing goes on

    # --- without I/O ---

    @overload
    def next_message(self) -> M | None: ...
    @overload
    def next_message(self, default: D) -> M | D: ...
    def next_message(self, default: Any = None) -> Any:
        """The next whole message; ``default`` while it is incomplete.

        Raises FramingError where the stream goes wrong, and again on every later call.
        """
        message = self._cut_next()
        return default if message is NOTHING else message

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        message: M = self._cut_next()
        if message is NOTHING:
            raise StopIteration
        return message

    def next_messages(self) -> list[M]:
        """All whole messages that there are. A failure after them waits for the next call."""
        batch: list[M] = []
        try:
            while (message := self._cut_next()) is not NOTHING:
                batch.append(message)
        except FramingError:
            if not batch:
                raise
        return batch

    @property
    def expects_raw(self) -> bool:
        """Whether the next message is a raw block."""
        return self.raw >= 0

    def expect_raw(self, count: int) -> None:
        """Make the next ``count`` bytes, whatever they are, the next message; then framing goes on.

        Raises ValueError for a count that is negative or over the limit on a message: receive a
        larger block in parts.
        """
        raw = index(count)
        if not 0 <= raw <= self.max_length:
            raise ValueError(f"a raw block has 0 to {self.max_length} bytes, not {count}")
        self.raw = raw
        self.scanned = 0

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """What goes before and after the message on the wire. Raises ValueError where it cannot be framed."""
        raise NotImplementedError

    def frame(self, message: Buffer) -> bytes:
        """The message as it goes over the wire. Raises ValueError where it cannot be framed."""
        body = _as_message(self, message)
        head, tail = self.edges(body)
        return head + body + tail

    # --- as a sink ---

    def attach(self, protocol: Any, transport: Any) -> None:
        """Connect the two: messages go to ``protocol.message_received``, what is sent to the transport."""
        self.receiver = protocol
        self.transport = transport
        self.batches = hasattr(protocol, "messages_received")

    def send(self, message: Buffer) -> None:
        """Frame a message and write it to the transport. Raises ValueError where it cannot be framed."""
        body = _as_message(self, message)
        head, tail = self.edges(body)
        if len(body) < GATHER_FROM:
            self.transport.write(head + body + tail)
        else:
            self.transport.writelines((head, body, tail))

    def _deliver(self) -> None:
        if self.receiver is None:
            return
        receive = self.receiver.messages_received if self.batches else self.receiver.message_received
        while not self.halted:
            deliver = receive
            if self.raw >= 0:
                deliver, received = self.receiver.raw_received, self._cut_next()
            elif self.batches:
                received = self.next_messages() or NOTHING
            else:
                received = self._cut_next()
            if received is NOTHING:
                break
            deliver(received)

    def take(self) -> bytes:
        self.receiver = None
        self.scanned = 0
        self.raw = -1
        return super().take()

    # --- the bytes ---

    def _cut_next(self) -> Any:
        """Take the next message off the buffer; NOTHING while it is incomplete."""
        if self.failure is not None:
            raise self.failure
        if self.raw >= 0:
            return self._cut_raw()
        return self._cut(self.data, self.start)

    def _cut_raw(self) -> Any:
        end = self.start + self.raw
        if len(self.data) < end:
            return NOTHING
        self.raw = -1
        return self._taken(self.start, end, end)

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        """The framed message that starts there; NOTHING while it is incomplete."""
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


class LineFramer(Framer[bytes]):
    """Lines that end in LF; a CR before it belongs to the line's end.

    ``max_length`` is the limit on a line, in bytes, its end not counted.
    """

    __slots__ = ()

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        mark = end = data.find(b"\n", start + self.scanned)
        if mark < 0:
            self.scanned = size = len(data) - start
            if size > self.max_length + (size > 0 and data[-1] == 13):
                raise self._too_long()
            return NOTHING
        if mark > start and data[mark - 1] == 13:
            end -= 1
        if end - start > self.max_length:
            raise self._too_long()
        return self._taken(start, end, mark + 1)

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """Nothing and LF. Raises ValueError for what is not one line."""
        if b"\n" in message or message.endswith(b"\r"):
            raise ValueError("a line must not contain LF nor end in CR: the peer would read something else")
        return b"", b"\n"


class DelimiterFramer(Framer[bytes]):
    """Messages that end in a delimiter of one or more bytes.

    ``max_length`` is the limit on a message, in bytes, the delimiter not counted.
    """

    __slots__ = ("delimiter",)

    def __init__(self, delimiter: Buffer, max_length: int = MESSAGE_LIMIT) -> None:
        self.delimiter = bytes(delimiter)
        if not self.delimiter:
            raise ValueError("the delimiter must not be empty")
        super().__init__(max_length)

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        width = len(self.delimiter)
        mark = data.find(self.delimiter, start + self.scanned)
        if mark < 0:
            size = len(data) - start
            self.scanned = max(0, size - width + 1)
            if size >= self.max_length + width:
                raise self._too_long()
            return NOTHING
        if mark - start > self.max_length:
            raise self._too_long()
        return self._taken(start, mark, mark + width)

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """Nothing and the delimiter. Raises ValueError where the peer would see another message."""
        width = len(self.delimiter)
        end = message[-width:] + self.delimiter  # the two together must not make one earlier
        if self.delimiter in message or end.find(self.delimiter) != len(end) - width:
            raise ValueError(f"a message must not contain the delimiter {self.delimiter!r}")
        return b"", self.delimiter


class LengthPrefixFramer(Framer[bytes]):
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

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        body = start + self.width
        if len(data) < body:
            return NOTHING
        length = int.from_bytes(data[start:body], self.byteorder)
        if length > self.max_length:
            raise self._too_long()
        if len(data) < body + length:
            return NOTHING
        return self._taken(body, body + length, body + length)

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """The length and nothing."""
        return len(message).to_bytes(self.width, self.byteorder), b""


class FixedLengthFramer(Framer[bytes]):
    """Messages of ``size`` bytes each."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = _positive("size", size)
        super().__init__(size)

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        end = start + self.size
        return self._taken(start, end, end) if len(data) >= end else NOTHING

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """Nothing and nothing. Raises ValueError for a message of another size."""
        if len(message) != self.size:
            raise ValueError(f"a message has {self.size} bytes here, not {len(message)}")
        return b"", b""


class NetstringFramer(Framer[bytes]):
    """Netstrings: the length in decimal, a colon, the message, a comma (cr.yp.to/proto/netstrings.txt).

    ``max_length`` is the limit on a message, in bytes, without what is around it.
    """

    __slots__ = ()

    def _cut(self, data: bytes | bytearray, start: int) -> Any:
        length, at = 0, start
        while at < len(data) and 48 <= data[at] <= 57:
            if at > start and data[start] == 48:
                raise self._broken("netstring length with a leading zero")
            length = length * 10 + data[at] - 48
            if length > self.max_length:
                raise self._too_long()
            at += 1
        if at == len(data):
            return NOTHING
        if at == start or data[at] != 58:
            raise self._broken("netstring without a length and a colon")
        end = at + 1 + length
        if len(data) <= end:
            return NOTHING
        if data[end] != 44:
            raise self._broken("netstring without a comma at its end")
        return self._taken(at + 1, end, end + 1)

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """The length with a colon, and a comma."""
        return b"%d:" % len(message), b","


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive number of bytes, not {value!r}")
    return min(value, LARGEST_LIMIT)


def _as_message(framer: Framer[Any], message: Buffer) -> bytes:
    """What is to be framed, as bytes within the framer's limit."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message must be a bytes-like object, not {type(message).__name__!r}")
    body = message if type(message) is bytes else bytes(message)
    if len(body) > framer.max_length:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {framer.max_length}")
    return body
