"""Accepts connections and starts them at once.

Out of descriptors or memory, the kernel would report the waiting connection for ever. The listener
then leaves the set for a while, says so once, and lets the clients wait in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import socket
from asyncio import trsock
from collections.abc import Callable
from typing import Any

from ..limits import ACCEPT_RETRY_DELAY, ACCEPTS_PER_WAKEUP
from .poller import EVENT_READ, Watcher

OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener(Watcher):
    """Accepts on one listening socket."""

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        transport_class: Any,
        server: Any,
        backlog: int,
        name: Any,
    ) -> None:
        self._loop = loop
        self.poller = loop._poller
        self.sock = sock
        self.fd = sock.fileno()
        self.interest, self.watched = 0, False
        self.context = contextvars.copy_context()  # of whoever started to listen: the connections' too
        self.factory = factory
        self.transport_class = transport_class
        self.server = server
        self.name = name  # the own address of every connection; None where they differ
        self.batch = max(1, min(backlog, ACCEPTS_PER_WAKEUP))
        self.retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self.retry = None
        self.poller.watch(self, EVENT_READ)

    def stop(self) -> None:
        """Accept no more; the socket stays open."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
        self.poller.unwatch(self)

    def on_ready(self, events: int) -> None:
        self.context.run(self._accept)

    def _accept(self) -> None:
        for _ in range(self.batch):
            try:
                sock, address = self.sock.accept()
            except BlockingIOError:
                return
            except (InterruptedError, ConnectionAbortedError):
                continue
            except OSError as exc:
                self._refused(exc)
                return
            self._accepted(sock, address)
            if not self.watched:
                return

    def _accepted(self, sock: socket.socket, address: Any) -> None:
        sock.setblocking(False)
        try:
            connection = self.transport_class(self._loop, sock, self.factory(), self.server)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, (SystemExit, KeyboardInterrupt)):
                raise
            self._loop.call_exception_handler(
                {"message": "Error on transport creation for incoming connection", "exception": exc}
            )
            return
        connection.peer, connection._name = address, self.name
        connection.begin()

    def _refused(self, exc: OSError) -> None:
        exhausted = exc.errno in OUT_OF_RESOURCES
        message = "socket.accept() out of system resource" if exhausted else "socket.accept() failed"
        self.poller.unwatch(self)
        self.retry = self._loop.call_later(ACCEPT_RETRY_DELAY, self.start)
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "socket": trsock.TransportSocket(self.sock)}
        )
