"""The load generator for TLS: the standard library's, in Python even where the others are compiled."""

from __future__ import annotations

import socket
import ssl

from .._pure.load import Flow, StreamLoad


class TLSLoad(StreamLoad):
    """TLS connections, opened once; see ``StreamLoad``.

    OpenSSL reads the socket record by record, so what it has not decrypted yet the selector still sees.
    """

    would_block = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def __init__(self, port: int, count: int, request: bytes, answer: int) -> None:
        self.context = client_context()
        super().__init__(port, count, request, answer)

    def open(self, flow: Flow) -> None:
        plain = socket.create_connection(self.server, 10.0)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flow.sock = self.context.wrap_socket(plain)
        flow.sock.setblocking(False)
        self.watch(flow)


def client_context() -> ssl.SSLContext:
    """Trusts anybody: the other side is this machine, and its certificate is no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
