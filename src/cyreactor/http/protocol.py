"""HTTPProtocol: servers of HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112).

    connection_made  (request_received  (body_received*  body_ended)?)*  connection_lost

One request at a time: the next one of a connection is delivered when the one before is answered, so
answers keep the order of a pipeline and a client cannot make the server work ahead. An answer may
come later, from a task; meanwhile the connection is read, up to a bound, to notice that the client
has left.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from ..limits import GATHER_FROM
from .delivery import Delivery
from .gathering import gather
from .heads import Checked, Fields, check, heads_of
from .parsers import Headers, Request

HTTP_1_1 = (1, 1)
BODILESS = (204, 304)
CLOSE, KEEP_ALIVE = b"Connection: close\r\n", b"Connection: keep-alive\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PLAIN_TEXT = ((b"Content-Type", b"text/plain; charset=utf-8"),)


class HTTPProtocol(Delivery):
    """A server's side of a connection: override ``request_received(request)``, answer with ``respond``::

        class Hello(cyreactor.http.HTTPProtocol):
            def request_received(self, request):
                self.respond(200, ((b"Content-Type", b"text/plain"),), b"hello\\n")

    Callbacks must not block. What takes longer is for a task; keep it, because the loop does not, and
    let it answer when it can::

            def request_received(self, request):
                self.task = asyncio.get_running_loop().create_task(self.answer(request))

    With ``streaming = True`` the request comes as soon as its head is complete, then its body in
    pieces: see ``body_received`` and ``body_ended``.

    What the client does wrong is answered here, with 400, 408, 413, 414, 417, 431, 501 or 505, and
    ends the connection. So does an exception in a callback: with 500, and a report to the loop's
    exception handler. The answer to a client that has left goes nowhere, without an error.

    A subclass with a ``connection_made`` or ``connection_lost`` of its own calls this one's too.
    """

    # Of an answer in pieces.
    _goes_on = False  # the connection, after it
    _chunked = False
    _mute = False  # it has no body, whatever is sent
    _left: int | None = None  # bytes of its Content-Length that were not sent

    # --- callbacks to override ---

    def request_received(self, request: Request, /) -> None:
        """A request came, with its whole body in ``request.body`` unless ``streaming`` is set."""
        self.respond(404, PLAIN_TEXT, b"404 Not Found\n")

    def body_received(self, piece: bytes, /) -> None:
        """A piece of the body came; it is never empty. Only with ``streaming``."""

    def body_ended(self, trailers: Headers, /) -> None:
        """The body is complete; called too where there is none. Only with ``streaming``."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._heads = heads_of(asyncio.get_running_loop())

    # --- answering ---

    def _respond(self, status: int, headers: Fields, body: bytes) -> None:
        """An answer that has not the head of the one before."""
        request = self._request
        if request is None or self._answering:
            self._check_misuse()
            return
        if self._heads is None:
            raise RuntimeError("a connection_made() of your own must call super().connection_made()")
        if type(body) is not bytes:
            body = _as_bytes(body)
        head = None
        if request.ordinary and not self._receiving:
            head = self._heads.usual(status, headers, len(body))
        if head is None:
            self._respond_otherwise(request, status, check(headers), body)
            return
        self._request = None
        if len(body) < GATHER_FROM:
            self.transport.write(head + body)
        else:
            gather(self.transport, (head, body))
        if self._late:
            self._go_on_soon()

    def _respond_otherwise(self, request: Any, status: int, checked: Checked, body: bytes) -> None:
        """An answer that is framed as the request or the application wants it."""
        size: int | None = len(body)
        if status in BODILESS:
            if body:
                raise ValueError(f"an answer with status {status} has no body")
            size = checked.length if status == 304 else None
        elif request.method == "HEAD" and not body and checked.length is not None:
            size = checked.length
        elif checked.length not in (None, size):
            raise ValueError(f"Content-Length is {checked.length}, the body has {size} bytes")
        goes_on = self._may_go_on(request, status, checked)
        head = self._heads.render(status, checked, _length(size) + _persistence(request, goes_on))
        gather(self.transport, (head, b"" if request.method == "HEAD" else body))
        self._answered(goes_on)

    def start_response(self, status: int = 200, headers: Fields = ()) -> None:
        """Begin an answer in pieces: ``send_body`` and ``end_response`` follow.

        Without a Content-Length the body is chunked; for HTTP/1.0 it ends with the connection.
        Raises as ``respond`` does.
        """
        request = self._request
        if request is None or self._answering:
            self._check_misuse()
            return
        checked = check(headers)
        bodiless = status in BODILESS
        chunked = checked.length is None and not bodiless and request.version >= HTTP_1_1
        framing = CHUNKED if chunked else _length(None if status == 204 else checked.length)
        delimited = bool(framing) or bodiless
        goes_on = delimited and self._may_go_on(request, status, checked)
        head = self._heads.render(status, checked, framing + _persistence(request, goes_on))
        self._mute = bodiless or request.method == "HEAD"
        self._left = checked.length
        self._answering, self._chunked, self._goes_on = True, chunked, goes_on
        self.transport.write(head)

    def send_body(self, piece: bytes) -> None:
        """Send a piece of the answer's body; ``await drain()`` before the next where there are many.

        Raises ValueError for more than Content-Length says, RuntimeError where no answer was begun.
        """
        if not self._answering:
            self._check_misuse()
            return
        piece = piece if type(piece) is bytes else _as_bytes(piece)
        if self._mute or not piece:
            return
        if self._left is not None:
            if len(piece) > self._left:
                raise ValueError(f"{len(piece)} bytes more, where Content-Length leaves {self._left}")
            self._left -= len(piece)
        if self._chunked:
            gather(self.transport, (b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            self.transport.write(piece)

    def end_response(self) -> None:
        """The answer is complete.

        Where its body is shorter than its Content-Length, closes the connection, so that the client
        notices, and raises RuntimeError; raises it too where no answer was begun.
        """
        if not self._answering:
            self._check_misuse()
            return
        if self._left and not self._mute:
            self._abandon()
            raise RuntimeError(f"the body ended {self._left} bytes before its Content-Length")
        if self._chunked and not self._mute:
            self.transport.write(b"0\r\n\r\n")
        self._answered(self._goes_on)

    def switch(self, protocol: Any, headers: Fields = ()) -> None:
        """Agree to the request's Upgrade, or to CONNECT, and hand the connection over.

        ``protocol`` gets ``connection_made``, what the client sends after the request, and in the
        end ``connection_lost``, which this one then does not get. Raises RuntimeError where the
        request asks for no such thing.
        """
        request = self._request
        if request is None or self._answering:
            self._check_misuse()
            return
        if request.method == "CONNECT":
            head = self._heads.render(200, check(headers), b"")
        elif request.upgrade is not None:
            agreed = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade.encode()
            head = self._heads.render(101, check(headers), agreed, least=101)
        else:
            raise RuntimeError("the request asks for no upgrade")
        self.transport.write(head)
        self._finished = self._stopped = True
        self._let_go()
        self._hand_over(protocol)

    # --- the end of an answer ---

    def _may_go_on(self, request: Any, status: int, checked: Checked) -> bool:
        """Whether the connection has a next request."""
        if checked.closes or not request.keep_alive or request.method == "CONNECT":
            return False
        return not self._expecting and not (status >= 400 and self._unread)

    def _answered(self, goes_on: bool) -> None:
        self._request = None
        self._answering = False
        if not goes_on:
            self._finish(linger=self._unread)
        elif self._late:
            self._go_on_soon()

    def _sent(self, size: int) -> None:
        """So much of the body was sent past the transport."""
        if self._left is not None:
            self._left -= size
        self._since = 0.0

    def _abandon(self) -> None:
        """The answer that was begun cannot be completed: the end of the connection says so."""
        if self._answering:
            self._answering = False
            self._finish()

    def _check_misuse(self) -> None:
        """An answer that nothing waits for: a mistake, unless the client has left."""
        if not self._finished:
            raise RuntimeError("no request waits for this: it was answered already, or has not come")

    def _refuse(self, status: int, why: str = "") -> None:
        request = self._request
        if self._finished:
            return
        if self._answering:  # too late for another one
            self._abandon()
            return
        text = f"{status} {HTTPStatus(status).phrase}{why and ': '}{why}\n"
        body = b"" if request is not None and request.method == "HEAD" else text.encode()
        head = self._heads.render(status, check(PLAIN_TEXT), _length(len(text)) + CLOSE)
        self.transport.write(head + body)
        self._finish(linger=True)

    def _callback_failed(self, exc: BaseException) -> None:
        context = {"message": f"{type(self).__name__} failed", "exception": exc}
        context |= {"protocol": self, "transport": self.transport}
        asyncio.get_running_loop().call_exception_handler(context)
        if self._request is not None:
            self._refuse(500)
        elif not self._finished:
            self._finish()


def _length(size: int | None) -> bytes:
    return b"" if size is None else b"Content-Length: %d\r\n" % size


def _persistence(request: Any, goes_on: bool) -> bytes:
    """What tells the client whether the connection has a next request, where it is not the default."""
    if not goes_on:
        return CLOSE
    return b"" if request.version >= HTTP_1_1 else KEEP_ALIVE


def _as_bytes(body: Any) -> bytes:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"a body is a bytes-like object, not {type(body).__name__!r}")
    return bytes(body)
