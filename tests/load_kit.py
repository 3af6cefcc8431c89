"""Servers to be asked by a load generator, and what they do with a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


@contextlib.contextmanager
def serving(handler):
    """A blocking server, a thread for each connection; yields its port and the connections so far."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    accepted = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])
                threading.Thread(target=handle, args=(accepted[-1],), daemon=True).start()

    def handle(sock):
        with contextlib.suppress(OSError), sock:
            handler(sock)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], accepted
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def half(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data[: len(data) // 2])


def drip(sock):
    while data := sock.recv(1):
        time.sleep(0.05)
        sock.sendall(data)
