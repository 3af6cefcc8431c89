"""The same servers without a loop: blocking calls, a thread for each connection."""

from __future__ import annotations

import importlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from .servers import PREFIX, Answer, Parsed

RECEIVE = 64 * 1024

# Of a thread: they do little, and there may be ten thousand of them.
STACK = 256 * 1024

ANSWER = Answer()


def echo(sock: socket.socket) -> None:
    while data := sock.recv(RECEIVE):
        sock.sendall(data)


def lines(sock: socket.socket) -> None:
    rest = b""
    while data := sock.recv(RECEIVE):
        *found, rest = (rest + data).split(b"\n")
        for line in found:
            sock.sendall(line + b"\n")


def frames(sock: socket.socket) -> None:
    with sock.makefile("rb") as file:
        while prefix := file.read(PREFIX.size):
            message = file.read(PREFIX.unpack(prefix)[0])
            sock.sendall(PREFIX.pack(len(message)) + message)


def readline(sock: socket.socket) -> None:
    with sock.makefile("rb") as file:
        while line := file.readline():
            sock.sendall(line)


class Hello(Parsed):
    """Answers each request that httptools finds."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock

    def on_message_complete(self) -> None:
        self.sock.sendall(ANSWER.now())


def http(sock: socket.socket) -> None:
    hello = Hello(sock)
    while data := sock.recv(RECEIVE):
        hello.parser.feed_data(data)


HANDLERS: dict[str, Callable[[socket.socket], None]] = {
    "echo": echo, "sockets": echo, "lines": lines, "frames": frames, "http": http,
    "streams": readline, "own-streams": readline,
}  # fmt: skip


def listen(name: str, context: ssl.SSLContext | None) -> tuple[int, Callable[[], None]]:
    """The port, and what serves it for ever."""
    if name == "datagrams":
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        return datagrams.getsockname()[1], lambda: send_back(datagrams)
    if name == "http":
        importlib.import_module("httptools")  # says at once that it is missing
    threading.stack_size(STACK)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    return listener.getsockname()[1], lambda: accept(listener, HANDLERS[name], context)


def accept(
    listener: socket.socket, handler: Callable[[socket.socket], None], context: ssl.SSLContext | None
) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(sock, handler, context), daemon=True).start()


def serve(
    sock: socket.socket, handler: Callable[[socket.socket], None], context: ssl.SSLContext | None
) -> None:
    try:
        with sock if context is None else context.wrap_socket(sock, server_side=True) as connection:
            handler(connection)
    except (OSError, struct.error):
        pass  # the client has left


def send_back(sock: socket.socket) -> None:
    while True:
        data, address = sock.recvfrom(RECEIVE)
        sock.sendto(data, address)
