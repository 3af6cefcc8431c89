"""What a type checker must see in the public API; checked by mypy and pyright, not run.

A comment ``type: ignore`` stands where there must be an error: one that is not needed is an error too.
"""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import cyreactor
from cyreactor import framing, http, resp, testing


class Shout(cyreactor.LineProtocol):
    max_length = 100

    def message_received(self, message: bytes) -> None:
        assert_type(self.framer.next_message(), bytes | None)
        self.send_message(message.upper())
        self.send_message(memoryview(message))
        self.send_message("text")  # type: ignore[arg-type]


class NotLines(cyreactor.LineProtocol):
    def message_received(self, message: str) -> None: ...  # type: ignore[override]


class Numbers:
    """A framer in plain Python, of whole numbers."""

    def feed(self, data: bytes) -> None: ...

    def next_message(self) -> int | None:
        return None

    def frame(self, message: int) -> bytes:
        return b"%d" % message


class Sum(cyreactor.FramedProtocol[int]):
    total = 0

    def make_framer(self) -> Numbers:
        return Numbers()

    def message_received(self, message: int) -> None:
        self.total += message


class NotNumbers(cyreactor.FramedProtocol[str]):
    def make_framer(self) -> Numbers:  # type: ignore[override]
        return Numbers()


class Untyped(cyreactor.FramedProtocol):
    def message_received(self, message: Any) -> None:
        self.send_message(message)


class Pairs(framing.Framer[tuple[int, int]]):
    pass


class Kv(resp.RESPProtocol):
    def message_received(self, command: list[bytes]) -> None:
        self.send_message({"any": "reply"})


class Hello(http.HTTPProtocol):
    def request_received(self, asked: http.Request) -> None:
        self.respond(200, ((b"Content-Type", b"text/plain"),), asked.body)


def framers(data: bytes) -> None:
    lines = framing.LineFramer(max_length=80)
    lines.feed(data)
    assert_type(lines.next_message(), bytes | None)
    assert_type(lines.next_message(0), bytes | int)
    assert_type(lines.next_messages(), list[bytes])
    assert_type(list(lines), list[bytes])
    assert_type(list(Pairs()), list[tuple[int, int]])
    assert_type(list(http.RequestParser()), list[http.Request])
    assert_type(list(http.ResponseParser()), list[http.Response])
    assert_type(list(resp.CommandParser()), list[list[bytes]])
    framing.LengthPrefixFramer(2, "middle")  # type: ignore[arg-type]
    any_of_bytes: framing.Framer[bytes] = framing.NetstringFramer()
    assert_type(any_of_bytes.expects_raw, bool)


def requests(request: http.Request, response: http.Response) -> None:
    assert_type(request.method, str)
    assert_type(request.headers.get("host"), bytes | None)
    assert_type(request.body, bytes)
    assert_type(response.status, int)


async def streams() -> None:
    reader, writer = await cyreactor.open_connection("localhost", 80, limit=1000)
    assert_type(reader, cyreactor.StreamReader)
    assert_type(writer, cyreactor.StreamWriter)
    assert_type(await reader.readline(), bytes)
    assert_type(await reader.readexactly(3), bytes)
    async for line in reader:
        assert_type(line, bytes)
    writer.write(b"x")
    await writer.drain()

    async def connected(reader: cyreactor.StreamReader, writer: cyreactor.StreamWriter) -> None:
        writer.close()

    server = await cyreactor.start_server(connected, "localhost", 0)
    assert_type(server, asyncio.Server)


async def answer() -> int:
    return 42


def loops() -> None:
    assert_type(cyreactor.run(answer()), int)
    with asyncio.Runner(loop_factory=cyreactor.Reactor) as runner:
        assert_type(runner.run(answer()), int)
    with cyreactor.Reactor() as reactor:
        assert_type(reactor, cyreactor.Reactor)
        loop: asyncio.AbstractEventLoop = reactor
        assert_type(loop.time(), float)
        assert_type(reactor.listen(Shout, "localhost", 0), asyncio.Server)
        reactor.connect(Shout, "localhost", 80).add_done_callback(lambda task: task.result()[0].write(b"x"))
        reactor.call_later(1, print, "x")
    cyreactor.serve(Shout, "localhost", 0)
    cyreactor.serve(lambda: Untyped(), path="/run/socket")
    cyreactor.serve(Numbers, "localhost", 0)  # type: ignore[arg-type]
    assert_type(cyreactor.backend, str)


def tests() -> None:
    with testing.TestReactor(now=10) as reactor:
        reactor.advance(1.5)
        assert_type(reactor.call(Shout), Shout)
        transport = testing.feed(Shout(), b"one\n", cuts=[1, 2], loop=reactor, room=10)
        assert_type(transport.sent, bytes)
        link = testing.connect(testing.Recorder(), Shout(), cuts=1)
        assert_type(link.a, testing.MemoryTransport)
        assert_type(testing.record(Shout()), list[testing.Call])
