"""The receiving side of HTTPProtocol: from bytes to requests, one at a time, and no longer than allowed.

Delivery stops while a request waits for its answer (``_request``), and while ``_stopped`` is set: the
application does not want the body now, the client does not take its answers, or the connection ends.
What comes meanwhile stays in the parser, up to a bound; then the connection is not read any more.
"""

from __future__ import annotations

import asyncio
from asyncio.protocols import _feed_data_to_buffered_proto as feed_buffered  # type: ignore[attr-defined]
from typing import Any, ClassVar

from .. import limits
from .._backend import http, http_exchange
from ..protocols import Protocol
from ..transport import Transport
from .linger import leave
from .timeouts import Sweep, sweep_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# What a connection waits for, as the sweep sees it.
NOTHING, REQUEST, HEAD, BODY, READER = range(5)


class Delivery(http_exchange.Exchange, Protocol):
    """What HTTPProtocol does before and after the application's callbacks."""

    streaming: ClassVar[bool] = False
    half_close: ClassVar[bool] = False  # a client that has sent everything still gets a late answer

    max_line: ClassVar[int] = limits.HTTP_LINE  # bytes of a request line
    max_head: ClassVar[int] = limits.HTTP_HEAD  # bytes of a whole head
    max_headers: ClassVar[int] = limits.HTTP_HEADERS  # header fields
    max_body: ClassVar[int] = limits.REQUEST_BODY  # bytes of a body

    # In seconds, late by up to a half of the shortest; the answer to a request may take any time.
    head_timeout: ClassVar[float] = limits.HEAD_TIMEOUT
    keep_alive_timeout: ClassVar[float] = limits.KEEP_ALIVE_TIMEOUT
    body_timeout: ClassVar[float] = limits.BODY_TIMEOUT
    send_timeout: ClassVar[float] = limits.SEND_TIMEOUT

    _sweep: Sweep
    _blocked = False  # the application wants no more of the body now
    _throttled = False  # the client does not take what it is sent
    _finished = False  # the connection ends
    _held_back = False  # too much waits here: the connection is not read from
    _sending = False  # something else than the transport sends to the client
    _unread = False  # the last request has a body that was not received in full
    _continued: Any = None  # the last request whose client was told to send its body
    _drains: tuple[asyncio.Future[None], ...] = ()

    # What the sweep has seen: what is waited for, and how much was unsent.
    _awaited = NOTHING
    _unsent = 0

    def body_received(self, piece: bytes, /) -> None:
        raise NotImplementedError

    def body_ended(self, trailers: Any, /) -> None:
        raise NotImplementedError

    def _refuse(self, status: int, why: str = "") -> None:
        """Answer what cannot be served, and end the connection."""
        raise NotImplementedError

    def _callback_failed(self, exc: BaseException) -> None:
        """The application raised an exception."""
        raise NotImplementedError

    # --- the connection ---

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._parser is None:
            self._parser = self._make_parser()
        shortest = min(self.head_timeout, self.keep_alive_timeout, self.body_timeout, self.send_timeout)
        self._sweep = sweep_of(asyncio.get_running_loop(), shortest)
        self._sweep.add(self)

    def get_sink(self, transport: Any) -> Any:
        """For the connection: what to read into; None for plain ``data_received``."""
        if type(self).data_received is not Delivery.data_received:
            return None
        self._parser = self._make_parser()
        self._parser.attach(self, transport)
        return self._parser

    def _make_parser(self) -> Any:
        return http.RequestParser(
            streaming=self.streaming,
            max_line=self.max_line,
            max_head=self.max_head,
            max_headers=self.max_headers,
            max_body=self.max_body,
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._finished = self._stopped = True
        self._let_go()
        for waiter in self._drains:
            if not waiter.done():
                waiter.set_exception(ConnectionResetError("the client has left"))
        self._drains = ()

    def _let_go(self) -> None:
        """The connection is another protocol's, or nobody's."""
        self._request = None
        self._sweep.discard(self)

    def _finish(self, *, linger: bool = False) -> None:
        """Nothing more is delivered; what was sent leaves, then the connection ends."""
        self._finished = self._stopped = True
        self._request = None
        if linger:
            leave(self.transport, self)
        else:
            self.transport.close()

    def eof_received(self) -> bool:
        self._no_more = True
        if self._finished or not self._late:
            return False
        return self._request is None or self.half_close

    # --- delivery ---

    def data_received(self, data: bytes) -> None:
        if self._finished:
            return
        self._parser.feed(data)
        self.messages_ready()

    def _delivery_failed(self, exc: BaseException) -> None:
        if exc is self._parser.failure:
            self._refuse(getattr(exc, "status", 400), str(exc))
        else:
            self._callback_failed(exc)

    def _deliver_pieces(self, parser: Any) -> None:
        for message in parser:
            self._since = 0.0
            if not self._receiving:
                self._request = message
                self._receiving = True
                self._unread = message.chunked or bool(message.content_length)
                self._expecting = message.expects_continue
                self.request_received(message)
            elif type(message) is bytes:
                self._expecting = False
                self.body_received(message)
            else:
                self._receiving = self._unread = self._expecting = False
                self.body_ended(message.trailers)
            if self._stopped or (self._request is not None and not self._receiving):
                self._keep(parser)
                return

    def _keep(self, parser: Any) -> None:
        """Delivery ends for now: keep what came, unless it is too much."""
        self._late = True
        if self._finished:
            return
        if self._no_more and self._request is not None and not self.half_close:
            self._finish()
        elif parser.pending > limits.BYTES_AHEAD and not self._held_back:
            self._held_back = True
            self.transport.pause_reading()

    def _await_more(self, parser: Any) -> None:
        """Everything that came is delivered, and nothing waits for its answer."""
        if self._no_more and not self._receiving:
            self._finish()
        elif self._expecting:
            self._expecting = False
            self.transport.write(CONTINUE)
        elif parser.receiving is not None:
            self._since = 0.0
            if parser.awaits_continue is not None and self._continued is not parser.receiving:
                self._continued = parser.receiving
                self.transport.write(CONTINUE)

    def _go_on_soon(self) -> None:
        """What stopped the delivery is over: deliver from a callback of its own."""
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._stopped = self._blocked or self._throttled or self._finished
        if self._stopped or (self._request is not None and not self._receiving):
            return
        if self._held_back:
            self._held_back = False
            self.transport.resume_reading()
        self.messages_ready()

    def _hand_over(self, protocol: Any) -> None:
        """Another protocol goes on, first with what came after the request."""
        transport = self.transport
        rest = self._parser.take()
        protocol.connection_made(transport)
        if rest and isinstance(transport, Transport):
            transport._unread(rest)
        elif rest:
            asyncio.get_running_loop().call_soon(_feed, protocol, rest)
        transport.set_protocol(protocol)
        if self._held_back:
            transport.resume_reading()

    # --- flow control ---

    def pause_reading(self) -> None:
        """Deliver nothing, until ``resume_reading``: no request, no piece of a body."""
        self._blocked = self._stopped = True

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``, first with what was held back."""
        if self._blocked:
            self._blocked = False
            self._go_on_soon()

    def pause_writing(self) -> None:
        self._throttled = self._stopped = True

    def resume_writing(self) -> None:
        self._throttled = False
        for waiter in self._drains:
            if not waiter.done():
                waiter.set_result(None)
        self._drains = ()
        self._go_on_soon()

    async def drain(self) -> None:
        """Wait until the client has taken most of what it was sent.

        Raises ConnectionResetError once the client has left.
        """
        if self._finished or self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has left")
        if self._throttled:
            waiter = asyncio.get_running_loop().create_future()
            self._drains = (*self._drains, waiter)
            await waiter

    # --- timeouts ---

    def _check_timeouts(self, now: float) -> None:
        awaited = self._awaits()
        unsent = self.transport.get_write_buffer_size() if awaited == READER else 0
        if not self._since or awaited != self._awaited or unsent != self._unsent:
            self._since, self._awaited, self._unsent = now, awaited, unsent
        elif awaited and now - self._since >= self._allowed(awaited):
            self._expire(awaited)

    def _awaits(self) -> int:
        """What the connection waits for just now."""
        if self._throttled or self._sending or self.transport.is_closing():
            return READER
        if self._blocked or self._finished:
            return NOTHING
        if self._receiving:
            return BODY
        if self._request is not None:
            return NOTHING
        if not self.streaming and self._parser.receiving is not None:
            return BODY
        if self._parser.pending:
            return HEAD
        return READER if self.transport.get_write_buffer_size() else REQUEST

    def _allowed(self, awaited: int) -> float:
        """For how many seconds."""
        if awaited == REQUEST:
            return self.keep_alive_timeout
        if awaited == READER:
            return self.send_timeout
        return self.head_timeout if awaited == HEAD else self.body_timeout

    def _expire(self, awaited: int) -> None:
        if awaited == READER:
            self.transport.abort()
        elif awaited == REQUEST:
            self._finish()
        else:
            self._refuse(408, "the request takes too long")


def _feed(protocol: Any, data: bytes) -> None:
    """Have a protocol receive bytes that came before it did, as its transport would."""
    if isinstance(protocol, asyncio.BufferedProtocol):
        feed_buffered(protocol, data)
    else:
        protocol.data_received(data)
