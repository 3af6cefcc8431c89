"""What was called, in order."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import Any, NamedTuple

CALLBACKS = (
    "connection_made",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "message_received",
    "messages_received",
    "raw_received",
    "request_received",
    "response_received",
    "body_received",
    "body_ended",
    "datagram_received",
    "datagrams_received",
    "error_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
)


class Call(NamedTuple):
    """A callback that was called."""

    name: str
    args: tuple[Any, ...] = ()


class Recorder(asyncio.Protocol):
    """A protocol that writes down what is called: the other end of a connection, in a test.

    ``half_open`` keeps the write side open after the end of the peer's stream.
    """

    def __init__(self, *, half_open: bool = False) -> None:
        self.calls: list[Any] = []  # of Call, unless `called` writes down something else
        self.received: bytes = b""  # all of it
        self.transport: Any = None
        self.half_open = half_open

    def called(self, name: str, *args: Any) -> None:
        """Write a call down; override it to write down something else."""
        self.calls.append(Call(name, args))

    @property
    def names(self) -> list[str]:
        """The names of the callbacks that were called, in order."""
        return [call.name for call in self.calls]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.called("connection_made", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.called("data_received", data)

    def eof_received(self) -> bool:
        self.called("eof_received")
        return self.half_open

    def pause_writing(self) -> None:
        self.called("pause_writing")

    def resume_writing(self) -> None:
        self.called("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self.called("connection_lost", exc)


def record(protocol: asyncio.BaseProtocol, *names: str) -> list[Call]:
    """Have a protocol's callbacks written down from now on; returns the list in which they will be.

    ``names`` are the methods, instead of all callbacks that there are. The ``data_received`` of a framed
    protocol is not among those: it gets messages.
    """
    calls: list[Call] = []
    framed = hasattr(protocol, "message_received")
    for name in names or [name for name in CALLBACKS if not (framed and name == "data_received")]:
        method = getattr(protocol, name, None)
        if method is not None:
            setattr(protocol, name, _recording(name, method, calls))
    return calls


def _recording(name: str, method: Any, calls: list[Call]) -> Any:
    @wraps(method)
    def recorded(*args: Any) -> Any:
        calls.append(Call(name, args))
        return method(*args)

    return recorded
