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

    ``answer`` is what ``eof_received`` returns: true keeps the write side open after the peer's end.
    """

    def __init__(self, *, answer: bool = False) -> None:
        self.calls: list[Call] = []
        self.received = b""  # all of it
        self.transport: Any = None
        self.answer = answer

    @property
    def names(self) -> list[str]:
        """The names of the callbacks, in order."""
        return [call.name for call in self.calls]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.calls.append(Call("connection_made", (transport,)))

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.calls.append(Call("data_received", (data,)))

    def eof_received(self) -> bool:
        self.calls.append(Call("eof_received"))
        return self.answer

    def pause_writing(self) -> None:
        self.calls.append(Call("pause_writing"))

    def resume_writing(self) -> None:
        self.calls.append(Call("resume_writing"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(Call("connection_lost", (exc,)))


def record(protocol: asyncio.BaseProtocol, *names: str) -> list[Call]:
    """Have a protocol's callbacks written down from now on; returns the list in which they will be.

    ``names`` are the methods, instead of all callbacks that there are. The ``data_received`` of a framed
    protocol is not among those: it gets messages.
    """
    calls: list[Call] = []
    for name in names or CALLBACKS:
        method = getattr(protocol, name, None)
        if method is None or (not names and name == "data_received" and hasattr(protocol, "message_received")):
            continue
        setattr(protocol, name, _recording(name, method, calls))
    return calls


def _recording(name: str, method: Any, calls: list[Call]) -> Any:
    @wraps(method)
    def recorded(*args: Any) -> Any:
        calls.append(Call(name, args))
        return method(*args)

    return recorded
