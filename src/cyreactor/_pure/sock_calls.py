"""The ``sock_*`` calls that a conversation on a socket is made of."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any

from ..limits import AT_ONCE


def sock_recv(self: Any, sock: socket.socket, n: int) -> Coroutine[Any, Any, bytes]:
    """See ``asyncio.AbstractEventLoop.sock_recv``."""
    reading: Coroutine[Any, Any, bytes] = self._read(sock, n, "recv", n)
    return reading


async def sock_sendall(self: Any, sock: socket.socket, data: Any) -> None:
    """See ``asyncio.AbstractEventLoop.sock_sendall``."""
    sent = 0
    if type(data) is bytes and len(data) <= AT_ONCE:
        sent = await self._write(sock, "send", data)
        if sent == len(data):  # as is most often the case
            return
    await self._send_rest(sock, data, sent)
