"""The protocols that the command line has names for; comparisons of loops measure them, too."""

from __future__ import annotations

from typing import Any

from .protocols import LineProtocol, Protocol


class Patient:
    """As long as the peer does not take what it is sent, nothing more is read from it."""

    transport: Any

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Echo(Patient, Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Lines(Patient, LineProtocol):
    """Answers each line with itself."""

    def message_received(self, message: bytes) -> None:
        self.send_message(message)
