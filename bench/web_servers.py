"""HTTP servers that say hello: ``web_servers.py SERVER LOOP`` prints the port it listens on.

SERVER is cyreactor, or one written by hand on httptools: ``httptools`` sends each answer as it is made,
``httptools-joined`` all answers of a read together. LOOP is cyreactor, asyncio or uvloop.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import sys
import time
from email.utils import formatdate

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
    factory = hello() if server == "cyreactor" else by_hand(server == "httptools-joined")
    listening = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, backlog=1024)
    gc.freeze()
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main(server, loop):
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients leave in the middle of answers
    module = importlib.import_module(loop)
    factory = module.SelectorEventLoop if loop == "asyncio" else module.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(server))


if __name__ == "__main__":
    main(*sys.argv[1:])
