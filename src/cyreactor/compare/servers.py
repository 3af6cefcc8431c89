"""The servers that run on an event loop, by name; ``threads.py`` has the same with blocking calls.

Those that are the same on every loop are written as one writes them for asyncio. Of the others
cyreactor's loops get what cyreactor has for it (``OWN``), and every other loop what one writes there.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

from .. import LengthPrefixedProtocol, start_server
from .._echo import Echo
from ..http import HTTPProtocol
from .workloads import HELLO

Factory = Callable[[], asyncio.BaseProtocol]
PREFIX = struct.Struct(">I")
FIELDS = ((b"Content-Type", b"text/plain; charset=utf-8"),)


class Lines(Echo):
    """Lines by hand; each is answered with itself."""

    rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.transport.write(line + b"\n")


class Frames(Echo):
    """Messages after their length, by hand; each is answered with itself."""

    rest = b""

    def data_received(self, data: bytes) -> None:
        data, start = self.rest + data, 0
        while len(data) - start >= PREFIX.size:
            end = start + PREFIX.size + PREFIX.unpack_from(data, start)[0]
            if end > len(data):
                break
            message = data[start + PREFIX.size : end]
            self.transport.write(PREFIX.pack(len(message)) + message)
            start = end
        self.rest = data[start:]


class Datagrams(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data, address)


async def readline(reader: Any, writer: Any) -> None:
    """Answers each line with itself."""
    try:
        while line := await reader.readline():
            writer.write(line)
    except ConnectionError:
        pass
    writer.close()


class Framed(LengthPrefixedProtocol):
    """The same with what cyreactor has for it."""

    def message_received(self, message: bytes) -> None:
        self.send_message(message)


class Hello(HTTPProtocol):
    """Answers each request with a few bytes."""

    def request_received(self, request: Any) -> None:
        self.respond(200, FIELDS, HELLO)


class Answer:
    """What a server by hand says; the date is that of this second."""

    second = -1
    data = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self.second:
            date = formatdate(second, usegmt=True)
            head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            self.data = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(HELLO), HELLO)
            self.second = second
        return self.data


class Parsed:
    """What httptools tells of a request, kept as a program would that looks at it."""

    def __init__(self) -> None:
        self.parser: Any = importlib.import_module("httptools").HttpRequestParser(self)
        self.headers: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


class HelloByHand(Parsed, asyncio.Protocol):
    """The least that serves HTTP on a loop: httptools parses, an answer is written for each request."""

    answer = Answer()

    def __init__(self) -> None:
        super().__init__()
        self.data_received = self.parser.feed_data  # type: ignore[method-assign]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def on_message_complete(self) -> None:
        self.transport.write(self.answer.now())
        if not self.parser.should_keep_alive():
            self.transport.close()


async def serve_sockets() -> Any:
    """Echo without a transport: sockets of the program's own, and the loop's ``sock_*`` calls."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    accepting = asyncio.create_task(accept(listening))
    return SimpleNamespace(sockets=[listening], accepting=accepting)


async def accept(listening: socket.socket) -> None:
    loop, answering = asyncio.get_running_loop(), set()
    while True:
        sock, _ = await loop.sock_accept(listening)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = loop.create_task(send_back(sock))
        answering.add(task)
        task.add_done_callback(answering.discard)


async def send_back(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with sock, suppress(ConnectionError):
        while data := await loop.sock_recv(sock, 65536):
            await loop.sock_sendall(sock, data)


BY_HAND: dict[str, Factory] = {"echo": Echo, "lines": Lines, "frames": Frames, "http": HelloByHand}
OWN: dict[str, Factory] = {"frames": Framed, "http": Hello}
STREAMS = ("streams", "own-streams")


def protocol(name: str, ours: bool) -> Factory:
    """What makes the protocol of a connection, on a loop of cyreactor's or on any other."""
    return OWN[name] if ours and name in OWN else BY_HAND[name]


def start_streams(name: str, ours: bool) -> Callable[..., Awaitable[asyncio.Server]]:
    """``start_server`` of asyncio, or of cyreactor where a loop's own streams are asked for."""
    return start_server if ours and name == "own-streams" else asyncio.start_server
