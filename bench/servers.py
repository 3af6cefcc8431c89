"""Servers that are measured beside those of ``cyreactor.compare``, and by the other programs here.

``servers.py LOOP WORKLOAD`` prints the port it listens on: LOOP is cyreactor, asyncio, uvloop or rloop;
the core of cyreactor is chosen by CYREACTOR_BACKEND.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import socket
import ssl
import sys

import cyreactor
from cyreactor import streams
from cyreactor._echo import Echo
from cyreactor.compare.child import CERTIFICATE, freeze
from cyreactor.compare.servers import Datagrams, Framed, Frames, Lines, readline
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


class HelloByHand(Echo):
    """The same in nothing but Python: the head is split into its fields, which nobody looks at."""

    rest = b""
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Length: 14\r\n\r\nHello, World!\n"
    )

    def data_received(self, data):
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for head in heads:
            self.request, *fields = head.split(b"\r\n")
            self.fields = dict(field.split(b": ", 1) for field in fields)
            self.transport.write(self.answer)


class Greeting(Echo):
    """Tells a client that it was accepted."""

    def connection_made(self, transport):
        transport.write(b"!")


class Pausing(Echo):
    """Holds its peer back while it works on a message, within the callback."""

    def data_received(self, data):
        self.transport.pause_reading()
        self.transport.write(data)
        self.transport.resume_reading()


class PausingForATurn(Echo):
    """The same, until the loop comes round to a callback."""

    def data_received(self, data):
        self.transport.pause_reading()
        self.transport.write(data)
        asyncio.get_running_loop().call_soon(self.transport.resume_reading)


class Stopping(Datagrams):
    """Sends each datagram back; one of them stops the process, for others to arrive meanwhile."""

    mark = b"stop"

    def datagram_received(self, data, address):
        if data == self.mark:
            # Not here: a loop that reads on would find them with this one.
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGSTOP)
        else:
            super().datagram_received(data, address)


class StoppingLists(Stopping):
    def datagrams_received(self, arrivals):
        for data, address in arrivals:
            self.datagram_received(data, address)


class Volley(Stopping):
    """Sends each datagram back many times."""

    def datagram_received(self, data, address):
        for _ in range(1 if data == self.mark else 64):
            super().datagram_received(data, address)


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


def own_frames():
    """Length-prefixed messages with what the loop has for them."""
    return Framed() if ours() else Frames()


def own_http():
    """HTTP with what the loop has for it."""
    return Hello() if ours() else HelloByHand()


def packed_lines():
    """A hundred lines a packet through asyncio's streams."""
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(), lines_100)


def own_packed_lines():
    """The same through the loop's own."""
    if not ours():
        return packed_lines()
    loop = asyncio.get_running_loop()
    return streams.StreamProtocol(streams.StreamReader(loop=loop), lines_100, loop=loop)


# --- without transports: the program's own socket, which listens ---


async def sock_calls(listening):
    """Answers one client after the other, with the loop's ``sock_*`` calls."""
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listening)
        with client:
            while data := await loop.sock_recv(client, 65536):
                await loop.sock_sendall(client, data)


async def readers(listening):
    """Answers clients when the loop says that they can be read."""
    loop = asyncio.get_running_loop()

    def accept():
        client, _ = listening.accept()
        client.setblocking(False)
        loop.add_reader(client, answer, client)

    def answer(client):
        data = client.recv(65536)
        if data:
            client.send(data)
        else:
            loop.remove_reader(client)
            client.close()

    loop.add_reader(listening, accept)
    await asyncio.Event().wait()


# --- for the programs here: a process of its own ---

PROTOCOLS = {
    "echo": Echo, "two-writes": TwoWrites, "lines": Lines, "http": Hello,
    "own-lines": own_lines, "own-frames": own_frames, "own-http": own_http,
    "greeting": Greeting, "pausing": Pausing, "pausing-for-a-turn": PausingForATurn,
}  # fmt: skip
DATAGRAMS = {
    "datagrams": Datagrams, "stopping": Stopping, "stopping-lists": StoppingLists, "volley": Volley,
}  # fmt: skip
COROUTINES = {"streams": readline, "streams-two-writes": stream_two_writes}
BY_SOCKET = {"sock-calls": sock_calls, "readers": readers}

kept = []  # the tasks of those


async def start(workload):
    """Begin to serve on this machine; returns the port. A second word says how."""
    name, _, option = workload.partition(" ")
    loop = asyncio.get_running_loop()
    where = {"host": "127.0.0.1", "port": 0, "backlog": 1024}
    if name in BY_SOCKET:
        return serve_by_socket(loop, BY_SOCKET[name])
    if name in DATAGRAMS:
        transport, _ = await loop.create_datagram_endpoint(DATAGRAMS[name], ("127.0.0.1", 0))
        return transport.get_extra_info("sockname")[1]
    if name in COROUTINES:
        native = option == "native" or (option == "own" and ours())
        server = await (cyreactor if native else asyncio).start_server(COROUTINES[name], **where)
    else:
        server = await loop.create_server(PROTOCOLS[name], ssl=tls() if option == "tls" else None, **where)
    return server.sockets[0].getsockname()[1]


def serve_by_socket(loop, serve):
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    kept.append(loop.create_task(serve(listening)))
    return listening.getsockname()[1]


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def serve(workload):
    await announce(await start(workload))


async def listen(factory):
    """Serve a protocol until killed; prints the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=1024)
    await announce(server.sockets[0].getsockname()[1])


async def announce(port):
    freeze()
    print(port, flush=True)
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
