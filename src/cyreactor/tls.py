"""TLS: the standard library's state machine on this loop's connections, and what it leaves untold.

What runs per read and per write is compiled, see ``ext/cyreactor/_compiled/tls.pyx``. The handshake, the
shutdown and their timeouts are asyncio's in any case; with ``CYREACTOR_TLS=standard`` all of it is.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from . import _backend

if TYPE_CHECKING:

    class Engine(asyncio.BufferedProtocol):
        """asyncio's ``SSLProtocol``, typed as far as it is used here."""

        _app_protocol: Any
        _app_reading_paused: bool
        _app_transport: Any
        _app_transport_created: bool
        _eof_received: bool
        _extra: dict[str, Any]
        _incoming: Any
        _loop: Any
        _outgoing: Any
        _sslobj: Any
        _state: Any
        _transport: Any
        _write_backlog: Any

        def __init__(self, *args: Any, **options: Any) -> None: ...
        def _abort(self, *exc: Any) -> None: ...
        def _call_eof_received(self) -> None: ...
        def _do_flush(self) -> None: ...
        def _fatal_error(self, *error: Any) -> None: ...
        def _on_handshake_complete(self, handshake_exc: Any) -> None: ...
        def _pause_reading(self) -> None: ...
        def _resume_reading(self) -> None: ...
        def _set_app_protocol(self, app_protocol: Any) -> None: ...
        def _set_state(self, new_state: Any) -> None: ...
        def _start_shutdown(self) -> None: ...

    class AppTransport(asyncio.Transport):
        """The same of the transport that the application's protocol gets."""

        _closed: bool
        _ssl_protocol: Any

        def __init__(self, loop: Any, ssl_protocol: Any) -> None: ...

else:
    Engine = sslproto.SSLProtocol
    AppTransport = sslproto._SSLProtocolTransport

State = sslproto.SSLProtocolState


class SSLTransport(AppTransport):  # programs look for "ssl" in the name
    """What the application's protocol writes to."""

    def _end(self, exc: BaseException) -> None:
        """Close once everything written is sent; ``connection_lost`` gets the exception."""
        if not self._closed:
            self._closed = True
            self._ssl_protocol._end(exc)


class TLSProtocol(Engine):
    """Tells a stream that was cut from one that ended.

    Only the peer's close_notify is the end of a TLS stream (RFC 8446, 6.1). The engine takes the end of
    the TCP connection for one as well, as many programs rely on. ``get_extra_info("truncated")`` of the
    transport says which it was, from ``eof_received`` on.
    """

    transport_class: type[Any] = SSLTransport

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._extra["truncated"] = False
        self._notified = False

    def _get_app_transport(self) -> Any:
        if self._app_transport is None and not self._app_transport_created:
            self._app_transport = self.transport_class(self._loop, self)
            self._app_transport_created = True
        return self._app_transport

    def _call_eof_received(self) -> None:
        cut = self._eof_received and self._state is State.SHUTDOWN
        if not cut:
            self._notified = True
        self._extra["truncated"] = not self._notified
        super()._call_eof_received()

    def _start_shutdown(self) -> None:
        if self._state is State.FLUSHING and self._app_reading_paused:
            self._do_flush()  # the peer has gone, and nobody will ask for what it left
        else:
            super()._start_shutdown()

    def _end(self, exc: BaseException) -> None:
        """The application's protocol cannot go on. Not a word to the peer, who would take it for an end."""
        self._set_state(State.UNWRAPPED)
        end = getattr(self._transport, "_end", self._transport._force_close)
        end(exc)


def _compile(engine: Any) -> type[TLSProtocol]:
    """The protocol whose reads and writes are compiled, with that engine."""

    class CompiledSSLTransport(_backend.tls.Writing, SSLTransport):  # type: ignore[misc]
        """What the application's protocol writes to, with the compiled write."""

    class CompiledTLSProtocol(_backend.tls.Secured, TLSProtocol):  # type: ignore[misc]
        """The ends of a connection; what is between them is the base's."""

        max_size = 4096  # of memory that only a transport of somebody else's would fill
        transport_class = CompiledSSLTransport

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._write_backlog = []
            self._use(engine(self._sslobj, self._incoming, self._outgoing))

        def _set_app_protocol(self, app_protocol: Any) -> None:
            super()._set_app_protocol(app_protocol)
            if self._state in (State.WRAPPED, State.FLUSHING):
                self._adopt(app_protocol)

        def _on_handshake_complete(self, handshake_exc: Any) -> None:
            if handshake_exc is None:
                self._adopt(self._app_protocol)
            try:
                super()._on_handshake_complete(handshake_exc)
            finally:
                del handshake_exc  # it has this frame: a cycle, for the garbage collector

        def _pause_reading(self) -> None:
            self._halt(True)
            super()._pause_reading()

        def _resume_reading(self) -> None:
            self._go_on()
            super()._resume_reading()

        def _start_shutdown(self) -> None:
            self._halt(False)
            super()._start_shutdown()

        def _abort(self, *exc: Any) -> None:
            self._halt(False)
            super()._abort(*exc)

        def _end(self, exc: BaseException) -> None:
            self._halt(False)
            super()._end(exc)

        def _fatal_error(self, *error: Any) -> None:
            self._halt(False)
            super()._fatal_error(*error)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._release()

    return CompiledTLSProtocol


def _choose() -> dict[str, type[TLSProtocol]]:
    """What there is on this core."""
    found = {"standard": TLSProtocol}
    if _backend.tls is not None:
        found |= {name: _compile(engine) for name, engine in _backend.tls.ENGINES.items()}
    return found


ENGINES = _choose()
protocol = ENGINES[_backend.tls_engine]
