"""A TLS peer whose bytes the test has in its hands."""

from __future__ import annotations

import asyncio
import ssl


class Peer:
    """A TLS client without I/O of its own, on a socket that does not block."""

    def __init__(self, context, sock):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        sock.setblocking(False)

    async def do(self, call, first=b""):
        """Call until it has what it needs; ``first`` goes before the first bytes, in the same packet."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                result = None
            if data := first + self.outgoing.read():
                await loop.sock_sendall(self.sock, data)
                first = b""
            if result is not None:
                return result
            received = await loop.sock_recv(self.sock, 65536)
            if not received:
                raise ConnectionResetError
            self.incoming.write(received)

    def handshake(self):
        self.tls.do_handshake()
        return True
