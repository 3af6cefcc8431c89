"""One server for every loop and workload: ``servers.py LOOP WORKLOAD`` prints the port it listens on.

LOOP is cyreactor, asyncio, uvloop or rloop; the core of cyreactor is chosen by CYREACTOR_BACKEND.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class TwoWrites(Echo):
    """A header, then a body, as an HTTP server would send them."""

    head, body = b"h" * 64, b"b" * 960

    def data_received(self, data):
        self.transport.write(self.head)
        self.transport.write(self.body)


class Lines(Echo):
    """Lines by hand, as one writes them on asyncio."""

    def __init__(self):
        self.rest = b""

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.transport.write(line + b"\n")


def framed_lines():
    import cyreactor

    class FramedLines(cyreactor.LineProtocol):
        def message_received(self, message):
            self.send_message(message)

    return FramedLines


def http():
    from cyreactor.http import HTTPProtocol

    class Hello(HTTPProtocol):
        # No timer runs: to make a new Date or to look at timeouts is a wake-up, though of no request.
        fields = ((b"Content-Type", b"text/plain"), (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"))
        head_timeout = body_timeout = keep_alive_timeout = send_timeout = 1000.0

        def request_received(self, request):
            self.respond(200, self.fields, b"Hello, World!\n")

    return Hello


async def streams(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
    except ConnectionError:
        pass
    writer.close()


async def streams_100(reader, writer):
    """Reads lines that come 100 a packet, and answers every hundredth."""
    try:
        while line := await reader.readline():
            for _ in range(99):
                line = await reader.readline()
            writer.write(line)
    except ConnectionError:
        pass
    writer.close()


async def streams_two_writes(reader, writer):
    """A task that answers with a header and a body."""
    try:
        while await reader.readline():
            writer.write(TwoWrites.head)
            writer.write(TwoWrites.body)
    except ConnectionError:
        pass
    writer.close()


async def serve(workload):
    coroutines = {"streams": streams, "streams-two-writes": streams_two_writes, "lines-100": streams_100}
    name, _, native = workload.partition(" ")
    if name in coroutines:
        package = importlib.import_module("cyreactor") if native else asyncio
        await announce(await package.start_server(coroutines[name], "127.0.0.1", 0, backlog=1024))
        return
    protocols = {"echo": Echo, "two-writes": TwoWrites, "lines": Lines}
    made = {"framed-lines": framed_lines, "http": http}
    await listen(made[workload]() if workload in made else protocols[workload])


async def listen(factory):
    """Serve a protocol until killed; prints the port."""
    loop = asyncio.get_running_loop()
    await announce(await loop.create_server(factory, "127.0.0.1", 0, backlog=1024))


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


def main(loop, workload):
    run_on(loop, serve(workload))


if __name__ == "__main__":
    main(*sys.argv[1:])
