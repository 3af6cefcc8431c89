"""The load generator's side of TLS connections, by the ssl module."""

from __future__ import annotations

import socket
import ssl

from .load import Flow, StreamLoad


class TLSLoad(StreamLoad):
    """TLS connections, opened once; ``context`` is a client's ``ssl.SSLContext``. See ``StreamLoad``.

    ``run`` raises ``ssl.SSLError`` where a server breaks the protocol. OpenSSL reads the socket record by
    record, so what it has not decrypted yet the selector still sees.
    """

    would_block = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def __init__(self, port: int, count: int, request: bytes, answer: int, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(port, count, request, answer)

    def open(self, flow: Flow) -> None:
        plain = socket.create_connection(self.server, 10.0)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flow.sock = self.context.wrap_socket(plain)
        flow.sock.setblocking(False)
        self.watch(flow)
