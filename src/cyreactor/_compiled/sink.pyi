import asyncio

class Sink:
    halted: bool
    failure: Exception | None
    callback: str
    def pour(self, data: bytes) -> tuple[bool, int]: ...
    def take(self) -> bytes: ...

class ProtocolSink(Sink):
    def __new__(cls, protocol: asyncio.Protocol) -> ProtocolSink: ...

class BufferedSink(Sink):
    def __new__(cls, protocol: asyncio.BufferedProtocol) -> BufferedSink: ...
