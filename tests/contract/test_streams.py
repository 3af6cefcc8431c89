"""The promises of a stream connection, on both cores and the real kernel."""

from __future__ import annotations

import asyncio
import socket

import pytest
from streams_kit import HalfOpen, Recorder, pair, read_all, reset, until


def test_grammar_of_a_whole_life(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        peer.sendall(b"hello")
        await until(lambda: protocol.received == b"hello")
        peer.close()
        assert await protocol.lost is None
        assert protocol.calls == ["made", "data", "eof", "lost"]

    drive(scenario)


def test_is_an_asyncio_transport(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        assert isinstance(protocol.transport, asyncio.Transport)
        protocol.transport.note = 1  # programs hang things on a transport
        protocol.transport.name = "mine"
        protocol.transport.abort()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_close_flushes_and_abort_does_not(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        protocol.transport.write(b"x" * 300_000)
        protocol.transport.close()
        protocol.transport.write(b"too")  # as on asyncio: while the kernel keeps the queue waiting
        assert len(await read_all(loop, peer, 400_000)) == 300_003
        assert await protocol.lost is None
        protocol.transport.write(b"ignored")
        peer.close()
        protocol, peer = await pair(loop)
        protocol.transport.write(b"x" * 300_000)
        protocol.transport.abort()
        await protocol.lost
        assert len(await read_all(loop, peer, 400_000)) < 300_000
        peer.close()

    drive(scenario)


def test_flow_control_pauses_and_resumes(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        protocol.transport.write(bytearray(200_000))
        assert protocol.calls == ["made", "pause"]
        assert protocol.transport.get_write_buffer_size() > 65536
        assert len(await read_all(loop, peer, 200_000)) == 200_000
        await until(lambda: protocol.calls == ["made", "pause", "resume"])
        assert protocol.transport.get_write_buffer_limits() == (16384, 65536)
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_a_mutable_buffer_may_change_after_write(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        data = bytearray(b"a" * 100_000)
        protocol.transport.write(data)
        data[:] = b"b" * len(data)
        assert await read_all(loop, peer, 100_000) == b"a" * 100_000
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_half_close_keeps_the_write_side(drive):
    async def scenario(loop):
        protocol, peer = await pair(loop, HalfOpen)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in protocol.calls)
        protocol.transport.write(b"still here")
        protocol.transport.write_eof()
        assert await read_all(loop, peer, 100) == b"still here"
        with pytest.raises(RuntimeError, match="after write_eof"):
            protocol.transport.write(b"more")
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_pause_reading_holds_in_connection_made_and_later(drive):
    class Paused(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def scenario(loop):
        protocol, peer = await pair(loop, Paused)
        peer.sendall(b"early")
        await asyncio.sleep(0.02)
        assert protocol.received == b""
        protocol.transport.resume_reading()
        await until(lambda: protocol.received == b"early")
        protocol.transport.abort()
        await protocol.lost
        peer.close()

    drive(scenario)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_in_connection_made(drive, how):
    class Short(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            getattr(transport, how)()

    async def scenario(loop):
        protocol, peer = await pair(loop, Short)
        assert await protocol.lost is None
        assert protocol.calls == ["made", "lost"]
        peer.close()

    drive(scenario)


def test_a_reset_is_an_error_of_that_connection_alone(drive):
    async def scenario(loop):
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        good, bad = socket.create_connection(address), socket.create_connection(address)
        await until(lambda: len(made) == 2 and all(p.calls for p in made))
        bad_address = bad.getsockname()
        reset(bad)
        victim = next(p for p in made if p.transport.get_extra_info("peername") == bad_address)
        assert isinstance(await victim.lost, ConnectionResetError)
        other = next(p for p in made if p is not victim)
        good.sendall(b"fine")
        await until(lambda: other.received == b"fine")
        good.close()
        await other.lost
        server.close()

    drive(scenario)


@pytest.mark.parametrize("callback", ["connection_made", "data_received", "eof_received"])
def test_an_exception_in_a_callback_ends_that_connection(drive, callback):
    class Faulty(Recorder):
        pass

    def fail(self, *args):
        if callback == "connection_made":
            self.transport = args[0]
        raise ZeroDivisionError(callback)

    setattr(Faulty, callback, fail)

    async def scenario(loop):
        protocol, peer = await pair(loop, Faulty)
        if callback == "data_received":
            peer.sendall(b"x")
        if callback == "eof_received":
            peer.shutdown(socket.SHUT_WR)
        assert isinstance(await protocol.lost, ZeroDivisionError)
        peer.close()

    drive(scenario, expect=[f"Fatal error: protocol.{callback}() call failed."])


def test_a_factory_that_raises_costs_that_connection_alone(drive):
    async def scenario(loop):
        tries = []

        def factory():
            tries.append(1)
            if len(tries) == 1:
                raise ZeroDivisionError
            return Recorder()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection(*address)
        await until(lambda: len(tries) == 2)
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0.01)

    drive(scenario, expect=["Error on transport creation for incoming connection"])


def test_framed_batch_pauses_resumes_and_drops_after_close(drive, core):
    class Lines(core.LineProtocol):
        def __init__(self):
            self.got = []
            self.lost = asyncio.get_running_loop().create_future()

        def message_received(self, message):
            self.got.append(message)
            if message == b"pause":
                self.transport.pause_reading()
            if message == b"close":
                self.transport.close()

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def scenario(loop):
        protocol, peer = await pair(loop, Lines)
        peer.sendall(b"a\npause\nb\nc\nclose\nd\n")
        await until(lambda: len(protocol.got) == 2)
        await asyncio.sleep(0.02)
        assert protocol.got == [b"a", b"pause"]
        protocol.transport.resume_reading()
        assert protocol.got == [b"a", b"pause"]
        assert await protocol.lost is None
        assert protocol.got == [b"a", b"pause", b"b", b"c", b"close"]
        peer.close()

    drive(scenario)


def test_an_overlong_line_ends_in_a_framing_error_after_the_good_answers(drive, core):
    class Lines(core.LineProtocol):
        max_length = 10

        def __init__(self):
            self.lost = asyncio.get_running_loop().create_future()

        def message_received(self, message):
            self.send_message(message)

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def scenario(loop):
        protocol, peer = await pair(loop, Lines)
        peer.sendall(b"fine\n" + b"x" * 11)
        assert isinstance(await protocol.lost, core.FramingError)
        assert peer.recv(100) == b"fine\n"
        peer.close()

    drive(scenario)
