"""Servers that are measured beside those of ``cyreactor.compare``, and by the other programs here.

``servers.py LOOP WORKLOAD`` prints the port it listens on: LOOP is cyreactor, asyncio, uvloop or rloop;
the core of cyreactor is chosen by CYREACTOR_BACKEND.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import sys

import cyreactor
from cyreactor import streams
from cyreactor._echo import Echo
from cyreactor.compare.serve import context
from cyreactor.compare.servers import Lines, readline
from cyreactor.http import HTTPProtocol


class TwoWrites(Echo):
    """A header, then a body, as an HTTP server would send them."""

    head, body = b"h" * 64, b"b" * 960

    def data_received(self, data):
        self.transport.write(self.head)
        self.transport.write(self.body)


class FramedLines(cyreactor.LineProtocol):
    def message_received(self, message):
        self.send_message(message)


class Hello(HTTPProtocol):
    # No timer runs: to make a new Date or to look at timeouts is a wake-up, though of no request.
    fields = ((b"Content-Type", b"text/plain"), (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"))
    head_timeout = body_timeout = keep_alive_timeout = send_timeout = 1000.0

    def request_received(self, request):
        self.respond(200, self.fields, b"Hello, World!\n")


async def lines_100(reader, writer):
    """Reads lines that come 100 a packet, and answers every hundredth."""
    try:
        while line := await reader.readline():
            for _ in range(99):
                line = await reader.readline()
            writer.write(line)
    except ConnectionError:
        pass
    writer.close()


async def stream_two_writes(reader, writer):
    """A task that answers with a header and a body."""
    try:
        while await reader.readline():
            writer.write(TwoWrites.head)
            writer.write(TwoWrites.body)
    except ConnectionError:
        pass
    writer.close()


# --- for cyreactor.compare: what makes a connection's protocol, whatever the loop ---


def ours():
    return isinstance(asyncio.get_running_loop(), cyreactor.Reactor)


def own_lines():
    """Lines with what the loop has for them."""
    return FramedLines() if ours() else Lines()


def packed_lines():
    """A hundred lines a packet through asyncio's streams."""
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(), lines_100)


def own_packed_lines():
    """The same through the loop's own."""
    if not ours():
        return packed_lines()
    loop = asyncio.get_running_loop()
    return streams.StreamProtocol(streams.StreamReader(loop=loop), lines_100, loop=loop)


# --- for the programs here: a process of its own ---

PROTOCOLS = {
    "echo": Echo, "two-writes": TwoWrites, "lines": Lines, "framed-lines": FramedLines, "http": Hello,
}  # fmt: skip
COROUTINES = {"streams": readline, "streams-two-writes": stream_two_writes}


async def serve(workload):
    name, _, how = workload.partition(" ")
    if name in COROUTINES:
        package = cyreactor if how == "native" else asyncio
        await announce(await package.start_server(COROUTINES[name], "127.0.0.1", 0, backlog=1024))
    else:
        await listen(PROTOCOLS[name], context({"tls": how == "tls"}))


async def listen(factory, tls=None):
    """Serve a protocol until killed; prints the port."""
    loop = asyncio.get_running_loop()
    await announce(await loop.create_server(factory, "127.0.0.1", 0, backlog=1024, ssl=tls))


async def announce(server):
    gc.freeze()
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()  # not serve_forever(), which closes the socket on rloop


def run_on(loop, coroutine):
    """Run it on that library's loop."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients leave in the middle of answers
    module = importlib.import_module(loop)
    factory = module.SelectorEventLoop if loop == "asyncio" else module.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(coroutine)


if __name__ == "__main__":
    run_on(sys.argv[1], serve(sys.argv[2]))
