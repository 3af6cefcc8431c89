"""HTTP servers that say hello: ``web_servers.py SERVER LOOP`` prints the port it listens on.

SERVER is cyreactor, or one written by hand on httptools: ``httptools`` sends each answer as it is made,
``httptools-joined`` all answers of a read together. LOOP is cyreactor, asyncio or uvloop.
"""

from __future__ import annotations

import asyncio
import sys
import time
from email.utils import formatdate

from servers import listen, run_on

BODY = b"Hello, World!\n"
FIELDS = ((b"Content-Type", b"text/plain; charset=utf-8"),)


def hello():
    from cyreactor.http import HTTPProtocol

    class Hello(HTTPProtocol):
        def request_received(self, request):
            self.respond(200, FIELDS, BODY)

    return Hello


def by_hand(joined):
    import httptools

    answer = b""

    def make_answer():
        """Once a second, for the Date."""
        nonlocal answer
        now = time.time()
        answer = b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: text/plain; charset=utf-8\r\n" % (
            formatdate(now, usegmt=True).encode()
        )
        answer += b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
        asyncio.get_running_loop().call_later(1.0 - now % 1.0, make_answer)

    class Hello(asyncio.Protocol):
        """The least that parses a request: its target, its headers, whether the connection goes on."""

        def __init__(self):
            self.parser = httptools.HttpRequestParser(self)
            self.headers = []
            if not joined:
                self.data_received = self.parser.feed_data

        def connection_made(self, transport):
            self.transport = transport

        def on_message_begin(self):
            self.headers = []

        def on_url(self, url):
            self.url = url

        def on_header(self, name, value):
            self.headers.append((name, value))

        def on_message_complete(self):
            self.transport.write(answer)
            if not self.parser.should_keep_alive():
                self.transport.close()

    class Joined(Hello):
        def data_received(self, data):
            self.answers = []
            self.parser.feed_data(data)
            self.transport.write(b"".join(self.answers))

        def on_message_complete(self):
            self.answers.append(answer)
            if not self.parser.should_keep_alive():
                self.transport.close()

    make_answer()
    return Joined if joined else Hello


async def serve(server):
    await listen(hello() if server == "cyreactor" else by_hand(server == "httptools-joined"))


def main(server, loop):
    run_on(loop, serve(server))


if __name__ == "__main__":
    main(*sys.argv[1:])
