"""Parsers of HTTP/1.1 (RFC 9112): from a stream of bytes to requests or responses."""

from __future__ import annotations

from collections import deque
from typing import Any

from .. import _faults as faults
from ..limits import RESPONSE_BODY
from .http_head import Message, Request, Response
from .http_lines import REQUEST_LINE, STATUS_LINE
from .http_parser import Parser, Stage


class RequestParser(Parser[Request]):
    """Requests, for ``request_received(request)``; see ``Parser`` for the limits.

    Streaming, the protocol's ``body_received(piece)`` and ``body_ended(trailers)`` follow for each.
    Without, ``continue_expected(request)`` is called, where the protocol has it, when a client waits for
    100 (Continue) before it sends a body.
    """

    __slots__ = ()

    def _receive(self, message: Any) -> None:
        self.callback = "request_received"
        self.receiver.request_received(message)

    def _read_first_line(self) -> Message | None:
        if not self.skipped and self.data[self.start : self.start + 2] == b"\r\n":
            self.skipped = True  # RFC 9112, 2.2: some clients end a body with a line too many
            self._consume(2)
        if self._waits(self.max_line):
            return None
        match = REQUEST_LINE.match(self.data, self.start)
        if match is None:
            self._lacks_end(self.max_line, faults.request_line)
            return None
        self._take_line(match.end() - self.start, self.max_line)
        return Request(match[1], match[2], int(match[3]))

    def _hands_over(self, message: Any) -> bool:
        return message.method == "CONNECT" or message.upgrade is not None


class ResponseParser(Parser[Response]):
    """Responses, for ``response_received(response)``; see ``Parser`` for the limits.

    Say with ``expect`` what was asked: whether a response has a body depends on it.
    """

    __slots__ = ("expected",)

    def __init__(self, *, max_body: int = RESPONSE_BODY, **options: Any) -> None:
        super().__init__(max_body=max_body, **options)
        self.expected: deque[str] = deque()  # methods of requests that were not answered yet

    def expect(self, method: str) -> None:
        """A request was sent with this method: its response comes after those of the ones before."""
        self.expected.append(method)

    def _receive(self, message: Any) -> None:
        self.callback = "response_received"
        self.receiver.response_received(message)

    def _read_first_line(self) -> Message | None:
        if self._waits(self.max_line):
            return None
        match = STATUS_LINE.match(self.data, self.start)
        if match is None:
            self._lacks_end(self.max_line, faults.status_line)
            return None
        self._take_line(match.end() - self.start, self.max_line)
        return Response(int(match[1]), match[2], match[3])

    def _body_of(self, message: Any) -> Stage:
        status = message.status
        method = self.expected[0] if self.expected else "GET"
        message._tunnel = status == 101 or (method == "CONNECT" and 200 <= status < 300)
        interim = status < 200 and status != 101
        if self.expected and not interim:
            self.expected.popleft()
        if message._tunnel or interim or method == "HEAD" or status in (204, 304):
            return Stage.END
        if message.chunked or message.content_length is not None:
            return super()._body_of(message)
        message._endless = True
        return Stage.ENDLESS

    def _hands_over(self, message: Any) -> bool:
        return bool(message._tunnel)
