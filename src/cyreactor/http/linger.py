"""The end of a connection whose client may still be sending.

Closing a TCP connection with unread bytes in it resets it, and the reset discards the answer that
the client has not read yet. So the write side is shut, what still comes is thrown away for a while,
and the client's own end closes the connection (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..limits import LINGER_BYTES, LINGER_TIMEOUT


class Lingering(asyncio.Protocol):
    """Takes a connection over from ``former``, whose ``connection_lost`` is still called."""

    def __init__(self, transport: Any, former: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._former = former
        self._room = LINGER_BYTES
        self._unsent = transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LINGER_TIMEOUT, self._expire, loop)
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            self._transport.abort()

    def eof_received(self) -> None:
        """Closes the connection."""

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or unsent == self._unsent:
            self._transport.abort()
            return
        self._unsent = unsent  # the client is slow, but it reads
        self._timer = loop.call_later(LINGER_TIMEOUT, self._expire, loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._former.connection_lost(exc)


def leave(transport: Any, former: asyncio.BaseProtocol) -> None:
    """Close a connection of that protocol's, in a way that lets the client read what it was sent."""
    if transport.is_closing():
        return
    if transport.can_write_eof():
        Lingering(transport, former)
    else:
        transport.close()
