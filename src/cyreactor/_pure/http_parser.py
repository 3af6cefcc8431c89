"""What the parsers of HTTP/1.1 have in common (RFC 9112): lines, heads and bodies.

A parser is a framer whose messages are whole ``Request`` or ``Response`` objects; where it is
``streaming``, each comes as soon as its head is complete, then the pieces of its body as bytes, then an
``End``.

A line is judged when it is complete, its limits before: so an error does not depend on how the stream
was cut. What is never done twice: searching for a line's end, and reading a line.

Nothing is delivered while ``held``, and what comes is kept: who holds it for long should pause reading.
The parser sets it after a message that hands the connection over to another protocol: what follows stays
as it came, for ``take``. After the last message of a connection (``keep_alive`` false) it drops what comes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from .. import _faults as faults
from .._typing import M
from ..errors import HTTPError
from ..limits import (
    HTTP_CHUNK_LINE,
    HTTP_HEAD,
    HTTP_HEADERS,
    HTTP_LINE,
    REQUEST_BODY,
    bounded,
)
from .framing import NOTHING, Framer
from .http_head import NO_HEADERS, Headers, Message
from .http_lines import CHUNK_LINE, FIELD_LINE

MOST = 2**31 - 1  # of a limit on a head
MOST_BODY = 2**62


class Stage(Enum):
    """What comes next."""

    HEAD = auto()
    COUNTED = auto()  # a body of so many bytes
    CHUNK = auto()  # the line before a chunk
    DATA = auto()  # a chunk
    MARK = auto()  # the CR LF after it
    TRAILERS = auto()
    ENDLESS = auto()  # a body that lasts until the end of the connection
    END = auto()  # nothing; the End of a streamed message is due
    OVER = auto()  # nothing that counts


class End:
    """The end of a message whose body was streamed; ``trailers`` are its trailer fields."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Headers = NO_HEADERS) -> None:
        self.trailers: Headers = trailers


class Parser(Framer[M]):
    """What both parsers have in common.

    Limits, in bytes unless said otherwise: ``max_line`` on a line, its end not counted, ``max_head`` on a
    head (and on the trailers), ``max_headers`` on the number of fields, ``max_body`` on a body.
    """

    __slots__ = (
        "ended", "extensions", "gathered", "held", "left", "line", "max_body", "max_head", "max_headers",
        "max_line", "message", "pulled", "received", "skipped", "stage", "streaming", "told", "trailers",
    )  # fmt: skip

    def __init__(
        self,
        *,
        streaming: bool = False,
        max_line: int = HTTP_LINE,
        max_head: int = HTTP_HEAD,
        max_headers: int = HTTP_HEADERS,
        max_body: int = REQUEST_BODY,
    ) -> None:
        super().__init__()
        self.streaming = bool(streaming)
        self.max_line = bounded("max_line", max_line, 1, MOST)
        self.max_head = bounded("max_head", max_head, 1, MOST)
        self.max_headers = bounded("max_headers", max_headers, 1, MOST)
        self.max_body = bounded("max_body", max_body, 0, MOST_BODY)
        self.held = False  # nothing is delivered while it is set
        self.pulled = False  # the protocol takes the messages itself
        self.ended = False  # no more bytes will come
        self._start_over()

    def _start_over(self) -> None:
        self.stage = Stage.HEAD
        self.message: Any = None  # the one that is being received, from its first line on
        self.trailers = NO_HEADERS  # of the message
        self.line = 0  # bytes from start on that are whole lines, read already
        self.scanned = 0  # bytes from start on in which no other line ends
        self.left = 0  # bytes of the body, or of the chunk, that are to come
        self.received = 0  # bytes of the body that were announced or came
        self.extensions = 0  # bytes of chunk extensions
        self.gathered = bytearray()  # a chunked body, so far
        self.skipped = False  # the empty line before a request
        self.told = False  # that the client waits for 100 (Continue)

    # --- without I/O ---

    def feed_eof(self) -> None:
        """No more bytes will come. Ends a body that lasts until the end of the connection.

        Where the end came in the middle of a message, HTTPError is raised: here if the parser is
        attached to a protocol, else by ``next_message`` once the messages before it were asked for.
        """
        if self.failure is not None:
            raise self.failure
        self.ended = True
        self._deliver()

    @property
    def awaits_continue(self) -> Any:
        """The request, not delivered yet, whose client waits for 100 (Continue) to send the body."""
        waiting = self.stage in (Stage.COUNTED, Stage.CHUNK) and not self.streaming
        if not waiting or self.received or self.pending or not getattr(self.message, "expects_continue", 0):
            return None
        return self.message

    @property
    def receiving(self) -> Any:
        """The message whose head is complete and whose body is not; None where it is streamed."""
        return None if self.streaming or self.stage in (Stage.HEAD, Stage.OVER) else self.message

    def expect_raw(self, count: int) -> None:
        """HTTP has no raw blocks: raises TypeError."""
        raise TypeError("an HTTP parser has no raw blocks")

    def edges(self, message: bytes) -> tuple[bytes, bytes]:
        """A parser only reads: raises TypeError."""
        raise TypeError("an HTTP parser cannot frame what is to be sent")

    # --- as a sink ---

    def attach(self, protocol: Any, transport: Any) -> None:
        """Connect the two. A protocol with a method ``messages_ready`` is called once a read, and takes
        what there is by iterating over the parser."""
        super().attach(protocol, transport)
        self.pulled = hasattr(protocol, "messages_ready")

    def _receive(self, message: Any) -> None:
        """Call the protocol's method for a message."""
        raise NotImplementedError

    def _deliver(self) -> None:
        receiver = self.receiver
        if self.pulled and receiver is not None and not self.halted:
            receiver.messages_ready()
            return
        while receiver is not None and not self.halted:
            received = self._cut_next()
            if received is NOTHING:
                break
            if isinstance(received, bytes):
                self.callback = "body_received"
                receiver.body_received(received)
            elif isinstance(received, End):
                self.callback = "body_ended"
                receiver.body_ended(received.trailers)
            else:
                self._receive(received)
            receiver = self.receiver
        if receiver is not None and not self.told and self.awaits_continue is not None:
            self.told = True
            if hasattr(receiver, "continue_expected"):
                self.callback = "continue_expected"
                receiver.continue_expected(self.message)

    def take(self) -> bytes:
        """Hand over and forget all bytes that were not parsed; a message half parsed is forgotten."""
        self._start_over()
        return super().take()

    # --- the bytes ---

    def _cut_next(self) -> Any:
        """The next message or part of one; NOTHING while it is incomplete."""
        if self.failure is not None:
            raise self.failure
        if self.held:
            return NOTHING
        found = None
        try:
            while found is None:
                found = STEPS[self.stage](self)
            if found is NOTHING and self.ended and (self.message is not None or self.pending):
                raise HTTPError("the connection ended in the middle of a message")
        except HTTPError as exc:
            self.failure = exc
            self._start_over()
            raise
        return found

    def _waits(self, limit: int) -> bool:
        """Whether a line that was searched before still has no end."""
        if self.scanned <= self.line or self.data.find(b"\n", self.start + self.scanned) >= 0:
            return False
        return self._lacks_end(limit, faults.field_line)

    def _lacks_end(self, limit: int, fault: Callable[[bytes], HTTPError]) -> bool:
        """The next line was not taken: true if it is incomplete, else raises what is wrong with it."""
        data, at = self.data, self.start + self.line
        mark = data.find(b"\n", self.start + max(self.line, self.scanned))
        end = mark if mark >= 0 else len(data)
        if end - at > limit + (end > at and data[end - 1] == 13):
            raise self._too_large()
        if end + (mark >= 0) - self.start > self.max_head:
            raise self._too_large()
        if mark < 0:
            self.scanned = end - self.start
            return True
        raise fault(bytes(data[at:mark]))

    def _take_line(self, next_line: int, limit: int) -> None:
        """A line is well-formed up to there: see that it is within its limits."""
        if next_line - 2 - self.line > limit or next_line > self.max_head:
            raise self._too_large()
        self.line = next_line

    def _too_large(self) -> HTTPError:
        if self.stage is Stage.CHUNK:
            return HTTPError("the line before a chunk is too long")
        if self.message is None:
            return HTTPError(f"the first line is longer than {self.max_line} bytes", 414)
        return HTTPError(f"fields longer than {self.max_line} bytes each or {self.max_head} in all", 431)

    def _read_fields(self, headers: Headers, message: Any) -> bool:
        """Read field lines up to the empty one; false while that has not come.

        They are a message's head, or trailers, which say nothing of a message.
        """
        if self._waits(self.max_line):
            return False
        data, start = self.data, self.start
        while True:
            match = FIELD_LINE.match(data, start + self.line)
            if match is None:
                return not self._lacks_end(self.max_line, faults.field_line)
            self._take_line(match.end() - start, self.max_line)
            name, value = match.groups()
            if name is None:
                break
            if len(headers) == self.max_headers:
                raise HTTPError(f"more than {self.max_headers} fields", 431)
            if message is None:
                headers._add(name, value.strip(b" \t"))
            else:
                message._take_field(name, value.strip(b" \t"))
        self._consume(self.line)
        return True

    def _consume(self, count: int) -> None:
        """Bytes from start on were dealt with."""
        self.start += count
        self.line = self.scanned = 0

    def _read_head(self) -> Any:
        if self.message is None:
            self.message = self._read_first_line()
            if self.message is None:
                return NOTHING
        message = self.message
        if not self._read_fields(message.headers, message):
            return NOTHING
        message._take_end()
        self.stage = self._body_of(message)
        if self.stage is Stage.COUNTED:
            self.left = message.content_length
            if self.left > self.max_body:
                raise HTTPError(f"a body over {self.max_body} bytes", 413)
        if self.streaming:
            return message
        return self._complete(b"") if self.stage is Stage.END else None

    def _read_first_line(self) -> Message | None:
        """The message that begins there; None while its first line is incomplete."""
        raise NotImplementedError

    def _body_of(self, message: Any) -> Stage:
        """How the body of a message is delimited; END where it has none."""
        if message.chunked:
            return Stage.CHUNK
        return Stage.COUNTED if message.content_length else Stage.END

    def _hands_over(self, message: Any) -> bool:
        """Whether the connection speaks another protocol after it."""
        raise NotImplementedError

    def _complete(self, body: bytes) -> Any:
        """The message with its body; where that was streamed, its End."""
        message, trailers = self.message, self.trailers
        self._start_over()
        if self._hands_over(message):
            self.held = True
        if not message.keep_alive:
            self.stage = Stage.OVER
        if self.streaming:
            return End(trailers)
        message.body, message.trailers = body, trailers
        return message

    def _read_counted(self) -> Any:
        if self.streaming:
            return self._read_piece(Stage.END)
        if self.pending < self.left:
            return NOTHING
        return self._complete(self._taken(self.start, self.start + self.left, self.start + self.left))

    def _read_piece(self, after: Stage) -> Any:
        """What is there of the body, or of a chunk; once it is all there, go on with another stage."""
        size = min(self.left, self.pending)
        if not size:
            return NOTHING
        self.left -= size
        if not self.left:
            self.stage = after
        piece = self._taken(self.start, self.start + size, self.start + size)
        if self.streaming:
            return piece
        self.gathered += piece
        return None

    def _read_chunk(self) -> Any:
        limit = min(HTTP_CHUNK_LINE, self.max_line)
        if self._waits(limit):
            return NOTHING
        match = CHUNK_LINE.match(self.data, self.start)
        if match is None:
            self._lacks_end(limit, faults.chunk_line)
            return NOTHING
        self._take_line(match.end() - self.start, limit)
        size = int(match[1], 16)
        self.extensions += len(match[2] or b"")
        if self.extensions > self.max_line:
            raise HTTPError("too many chunk extensions")
        if size > self.max_body - self.received:
            raise HTTPError(f"a body over {self.max_body} bytes", 413)
        self._consume(self.line)
        self.received += size
        self.left = size
        self.stage = Stage.DATA if size else Stage.TRAILERS
        if not size:
            self.trailers = Headers()
        return None

    def _read_data(self) -> Any:
        return self._read_piece(Stage.MARK)

    def _read_mark(self) -> Any:
        mark = self.data[self.start : self.start + 2]
        if mark == b"\r\n":
            self._consume(2)
            self.stage = Stage.CHUNK
            return None
        if mark not in (b"", b"\r"):
            raise HTTPError("a chunk does not end where its size says")
        return NOTHING

    def _read_trailers(self) -> Any:
        if not self._read_fields(self.trailers, None):
            return NOTHING
        self.stage = Stage.END
        return None if self.streaming else self._complete(bytes(self.gathered))

    def _read_endless(self) -> Any:
        size, room = self.pending, self.max_body - self.received
        if size > room and not (self.streaming and room):
            raise HTTPError(f"a body over {self.max_body} bytes", 413)
        if self.streaming and size:
            self.left = min(size, room)
            self.received += self.left
            return self._read_piece(Stage.ENDLESS)
        if not self.ended:
            return NOTHING
        return self._complete(self._taken(self.start, len(self.data), len(self.data)))

    def _read_end(self) -> Any:
        return self._complete(b"")

    def _read_over(self) -> Any:
        self._consume(self.pending)
        return NOTHING


STEPS: dict[Stage, Callable[[Parser], Any]] = {
    Stage.HEAD: Parser._read_head,
    Stage.COUNTED: Parser._read_counted,
    Stage.CHUNK: Parser._read_chunk,
    Stage.DATA: Parser._read_data,
    Stage.MARK: Parser._read_mark,
    Stage.TRAILERS: Parser._read_trailers,
    Stage.ENDLESS: Parser._read_endless,
    Stage.END: Parser._read_end,
    Stage.OVER: Parser._read_over,
}
