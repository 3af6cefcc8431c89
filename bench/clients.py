"""Clients that ask once and wait for the answer, for programs that count what a server does meanwhile.

Each is a context manager around a function that makes one trip.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

TIMEOUT = 10


@contextlib.contextmanager
def stream(port, request, answer):
    """A request over TCP, answered with so many bytes."""
    with connected(port) as client:
        yield lambda: ask(client, request, answer)


@contextlib.contextmanager
def secured(port, request, answer):
    """The same over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connected(port)) as client:
        yield lambda: ask(client, request, answer)


@contextlib.contextmanager
def datagram(port, request, answer):
    """A datagram, answered with another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT)
        client.connect(("127.0.0.1", port))

        def trip():
            client.send(request)
            assert len(client.recv(65536)) == answer

        yield trip


@contextlib.contextmanager
def connection(port, request, answer, rest):
    """A connection that the server greets, and ends when the client does; ``rest`` waits for the server."""

    def trip():
        with connected(port) as client:
            receive(client, answer)
            rest()
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""

    yield trip


def connected(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client, request, answer):
    client.sendall(request)
    receive(client, answer)


def receive(client, count):
    while count:
        data = client.recv(count)
        if not data:
            raise ConnectionError("the server closed the connection")
        count -= len(data)
