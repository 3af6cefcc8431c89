"""TLS: the standard library's engine on this loop's connections, and what it leaves untold."""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Engine(asyncio.BufferedProtocol):
        """asyncio's ``SSLProtocol``, typed as far as it is used here."""

        _app_transport: Any
        _eof_received: bool
        _extra: dict[str, Any]
        _state: Any

        def __init__(self, *args: Any, **options: Any) -> None: ...
        def _call_eof_received(self) -> None: ...

else:
    Engine = sslproto.SSLProtocol


class TLSProtocol(Engine):
    """Tells a stream that was cut from one that ended.

    Only the peer's close_notify is the end of a TLS stream (RFC 8446, 6.1). The engine takes the end of
    the TCP connection for one as well, as many programs rely on. ``get_extra_info("truncated")`` of the
    transport says which it was, from ``eof_received`` on.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._extra["truncated"] = False
        self._notified = False

    def _call_eof_received(self) -> None:
        cut = self._eof_received and self._state is sslproto.SSLProtocolState.SHUTDOWN
        if not cut:
            self._notified = True
        self._extra["truncated"] = not self._notified
        super()._call_eof_received()
