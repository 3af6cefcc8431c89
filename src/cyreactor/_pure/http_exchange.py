"""One request and its answer at a time: what runs for every request of a server.

``HTTPProtocol`` is built on an ``Exchange``, which does what is usual: it hands over whole requests as
long as each is answered, and answers with the head that the last answer had. All else it leaves to the
methods that the protocol has in Python.
"""

from __future__ import annotations

from typing import Any

from ..limits import GATHER_FROM


class LastHead:
    """The head of the last usual answer of a loop: the same fields again save even looking it up."""

    def __init__(self) -> None:
        self.status: int = 0  # what the head was made of
        self.fields: object = None  # this very tuple; something that nobody has where there is no head
        self.size: int = 0  # of the body
        self.head: bytes | None = None
        self.forget()

    def forget(self) -> None:
        """The head is not to be used any more."""
        self.head = None
        self.fields = object()


class Exchange:
    """What comes, as far as it may be delivered, and the usual answer to it."""

    transport: Any = None  # None before connection_made
    _parser: Any = None  # a RequestParser
    _request: Any = None  # that waits for its answer, or None
    _heads: Any = None  # of the answers of this loop
    _since = 0.0  # when the sweep first saw what is waited for now; 0 is not yet
    _stopped = False  # nothing is delivered, whatever `_request` says
    _late = False  # delivery has ended before the parser was empty
    _no_more = False  # the client has sent everything
    _receiving = False  # streaming: body_ended of the last request was not called
    _expecting = False  # and its client waits for 100 before it sends the body
    _answering = False  # an answer in pieces was begun

    def messages_ready(self) -> None:
        """Deliver what has come: for the parser, which calls it once a read."""
        parser = self._parser
        if parser is None:
            raise RuntimeError("not connected")
        if self._stopped or (self._request is not None and not self._receiving):
            self._keep(parser)
            return
        self._late = False
        try:
            while True:
                if parser.streaming:
                    self._deliver_pieces(parser)
                else:
                    self._take_requests(parser)
                if not parser.held or self._late:
                    break
                parser.held = False  # an upgrade that was not agreed to
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._delivery_failed(exc)
        else:
            if not self._late and (parser.message is not None or self._no_more or self._expecting):
                self._await_more(parser)

    def _take_requests(self, parser: Any) -> None:
        for request in parser:
            self._request = request
            self._since = 0.0
            self.request_received(request)
            if self._request is not None or self._stopped:
                self._keep(parser)
                return

    def respond(self, status: int = 200, headers: Any = (), body: Any = b"") -> None:
        """Answer the request with a whole body.

        ``headers`` are pairs of name and value; a constant tuple of tuples is fastest. Date,
        Content-Length and Connection are added where they belong. A Content-Length of your own must
        be right, and is needed only to tell the size of what HEAD and 304 leave out. ``Connection:
        close`` ends the connection after the answer.

        Raises ValueError for what cannot be sent, RuntimeError where no request waits.
        """
        last = self._heads
        request = self._request
        if (
            request is None
            or last is None
            or self._answering
            or self._receiving
            or headers is not last.fields
            or type(body) is not bytes
            or len(body) != last.size
            or last.size >= GATHER_FROM
            or status != last.status
            or not request.ordinary
        ):
            self._respond(status, headers, body)
            return
        self._request = None
        self.transport.write(last.head + body)
        if self._late:
            self._go_on_soon()

    # --- what the protocol has ---

    def request_received(self, request: Any) -> None:
        raise NotImplementedError

    def _deliver_pieces(self, parser: Any) -> None:
        raise NotImplementedError

    def _keep(self, parser: Any) -> None:
        raise NotImplementedError

    def _await_more(self, parser: Any) -> None:
        raise NotImplementedError

    def _delivery_failed(self, exc: BaseException) -> None:
        raise NotImplementedError

    def _respond(self, status: int, headers: Any, body: Any) -> None:
        raise NotImplementedError

    def _go_on_soon(self) -> None:
        raise NotImplementedError
