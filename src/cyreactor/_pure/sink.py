"""What a connection reads into: the protocol's own callbacks, or a parser.

The contract is that of the compiled twin, told in Python's terms: ``reader`` gives the function that
reads (the twin's ``reserve`` and the system call), ``commit`` gets what it returned. Nothing to read
raises BlockingIOError, the end of the stream is falsy.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from ..limits import BULK_SIZE, READ_SIZE


class Sink:
    """The receive side of a connection."""

    __slots__ = ("callback", "failure", "halted", "room")

    callback: str
    failure: Exception | None
    halted: bool
    room: int

    def __init__(self) -> None:
        self.halted = False  # set by the connection: reading paused, closing, or replaced
        self.failure = None  # the exception for connection_lost, set before `commit` returns True
        self.room = READ_SIZE  # bytes of the next read
        self.callback = ""  # the name of the protocol's method that is being called

    def reader(self, sock: socket.socket) -> Callable[[int], Any]:
        """What reads at most so many bytes from the socket, once."""
        return sock.recv

    def commit(self, received: Any) -> bool:
        """Deliver what was read, and what was held back; true when the peer broke the protocol."""
        raise NotImplementedError

    def take(self) -> bytes:
        """Hand over and forget all bytes that were not delivered, for another sink."""
        return b""

    def pour(self, data: bytes) -> tuple[bool, int]:
        """Feed bytes that come from elsewhere: whether that failed, and how many were taken.

        No bytes mean: deliver what was held back.
        """
        raise NotImplementedError


class ProtocolSink(Sink):
    """Bytes as they come, for ``data_received``."""

    __slots__ = ("protocol",)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.callback = "data_received"

    def commit(self, received: bytes) -> bool:
        if received:
            self.room = READ_SIZE if len(received) < READ_SIZE else BULK_SIZE
            self.protocol.data_received(received)
        return False

    def pour(self, data: bytes) -> tuple[bool, int]:
        return self.commit(data), len(data)


class BufferedSink(Sink):
    """The protocol's own memory, for ``get_buffer`` and ``buffer_updated``."""

    __slots__ = ("protocol",)

    def __init__(self, protocol: asyncio.BufferedProtocol) -> None:
        super().__init__()
        self.protocol = protocol

    def reserve(self) -> memoryview:
        self.callback = "get_buffer"
        with memoryview(self.protocol.get_buffer(-1)) as whole:  # a view that is not released stays, on PyPy
            buffer = whole.cast("B")
        if not buffer:
            raise RuntimeError("get_buffer() returned an empty buffer")
        if buffer.readonly:
            raise BufferError("get_buffer() returned a read-only buffer")
        return buffer

    def reader(self, sock: socket.socket) -> Callable[[int], int]:
        def receive(limit: int) -> int:
            with self.reserve() as buffer:
                self.callback = ""
                return sock.recv_into(buffer)

        return receive

    def commit(self, received: int) -> bool:
        if received:
            self.callback = "buffer_updated"
            self.protocol.buffer_updated(received)
        return False

    def pour(self, data: bytes) -> tuple[bool, int]:
        used = 0
        while used < len(data) and not self.halted:
            with self.reserve() as buffer:
                size = min(len(buffer), len(data) - used)
                buffer[:size] = data[used : used + size]
            used += size
            self.commit(size)
        return False, used
