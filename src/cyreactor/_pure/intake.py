"""A sink that keeps what has arrived until it can be used: the ground of framers, parsers and readers."""

from __future__ import annotations

from ..errors import FramingError
from .sink import Sink

Buffer = bytes | bytearray | memoryview


class Intake(Sink):
    """Keeps bytes; a subclass says with ``_deliver`` what becomes of them."""

    __slots__ = ("data", "start")

    def __init__(self) -> None:
        super().__init__()
        self.data: bytes | bytearray = b""  # what is undelivered lies at data[start:]
        self.start = 0

    def feed(self, data: Buffer) -> None:
        """Append bytes of the stream. Raises the error of one that failed."""
        if self.failure is not None:
            raise self.failure
        if self.start == len(self.data):
            self.data = bytes(data)
        else:
            if not isinstance(self.data, bytearray):
                self.data = bytearray(self.data)
            del self.data[: self.start]
            self.data += data
        self.start = 0

    @property
    def pending(self) -> int:
        """Bytes that were fed and are not delivered yet."""
        return len(self.data) - self.start

    def take(self) -> bytes:
        rest = bytes(self.data[self.start :])
        self.data = b""
        self.start = 0
        return rest

    # --- as a sink ---

    def commit(self, received: bytes) -> bool:
        if self.failure is not None:
            return True
        try:
            if received:
                self.feed(received)
            self._deliver()
        except FramingError as exc:
            if exc is not self.failure:
                raise
            return True
        return False

    def _deliver(self) -> None:
        """Hand over what is complete; raises ``failure``, once it is set, and what a callback raises."""

    def pour(self, data: bytes) -> tuple[bool, int]:
        return self.commit(data), len(data)
