"""What each TLS engine does with bytes that come in any pieces, and when the application changes its mind."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from pathlib import Path
from random import Random

import pytest
from streams_kit import Recorder, recording_lines, until
from tls_kit import Peer

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context():
    return ssl.create_default_context(cafile=CERTIFICATE)


SERVER_SIDE, CLIENT_SIDE = server_context(), client_context()


@pytest.fixture
def meet(engine, drive):
    """Runs a scenario with a protocol of the reactor's behind TLS, and a peer without a loop before it."""

    def run(factory, scenario, expect=(), version=None):
        made = []

        def making():
            made.append(factory())
            return made[-1]

        async def main(loop):
            context = client_context()
            if version is not None:
                context.maximum_version = version
            server = await loop.create_server(making, "127.0.0.1", 0, ssl=SERVER_SIDE)
            sock = socket.create_connection(server.sockets[0].getsockname())
            peer = Peer(context, sock)
            await peer.do(peer.handshake)
            await until(lambda: made and made[0].transport)
            try:
                await scenario(loop, peer, made[0])
            finally:
                sock.close()
                server.close()
                await asyncio.sleep(0.01)

        drive(main, expect)

    return run


class Echo(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", range(4))
def test_ciphertext_may_be_cut_anywhere(meet, version, seed):
    random = Random(seed)
    data = random.randbytes(200_000)

    async def scenario(loop, peer, app):
        answer, at = b"", 0
        while at < len(data):
            size = random.choice((1, 17, 1000, 16_384, 40_000))
            peer.tls.write(data[at : at + size])
            at += size
            cipher = peer.outgoing.read()
            while cipher:
                cut = random.choice((1, 4, 5, 6, 30, 5000, len(cipher)))
                await loop.sock_sendall(peer.sock, cipher[:cut])
                cipher = cipher[cut:]
                if random.random() < 0.3:
                    await asyncio.sleep(0)
        while len(answer) < len(data):
            answer += await peer.do(lambda: peer.tls.read(65_536))
        assert answer == data == app.received

    meet(Echo, scenario, version=version)


class Buffered(asyncio.BufferedProtocol):
    """Memory of few bytes, and an echo."""

    transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.memory = memoryview(bytearray(1000))

    def get_buffer(self, sizehint):
        return self.memory

    def buffer_updated(self, count):
        self.transport.write(self.memory[:count])


def test_a_buffered_protocol_s_small_memory_is_filled_again_and_again(meet):
    data = Random(0).randbytes(30_000)

    async def scenario(loop, peer, app):
        peer.tls.write(data)
        answer = b""
        while len(answer) < len(data):
            answer += await peer.do(lambda: peer.tls.read(65_536))
        assert answer == data

    meet(Buffered, scenario)


def test_what_is_written_is_the_writer_s_again(meet):
    class Reusing(Recorder):
        def data_received(self, data):
            memory = bytearray(b"x" * 500)
            self.transport.write(memory)
            memory[:] = b"y" * 500
            self.transport.writelines([b"", memory, memoryview(b"z" * 500)])
            memory[:] = b"w" * 500

    async def scenario(loop, peer, app):
        peer.tls.write(b"go")
        answer = b""
        while len(answer) < 1500:
            answer += await peer.do(lambda: peer.tls.read(65_536))
        assert answer == b"x" * 500 + b"y" * 500 + b"z" * 500

    meet(Reusing, scenario)


def test_lines_that_come_while_reading_is_paused_wait_for_their_turn(core, meet):
    class Lines(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.pause_reading()
            asyncio.get_running_loop().call_later(0.001, self.resume_reading)

    async def scenario(loop, peer, app):
        peer.tls.write(b"one\ntwo\nthree\n")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        await until(lambda: app.calls == [b"one", b"two", b"three"])

    meet(Lines, scenario)


def test_the_end_waits_for_lines_that_are_held_back(core, engine, meet):
    class Lines(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            if message == b"one":
                self.pause_reading()

    async def scenario(loop, peer, app):
        peer.tls.write(b"one\ntwo\n")
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        await until(lambda: app.calls)
        await asyncio.sleep(0.01)
        if engine == "standard":  # asyncio's tells the end whoever is paused
            assert app.calls == [b"one", "eof", "lost"]
            return
        assert app.calls == [b"one"]
        app.resume_reading()
        await until(lambda: app.calls[-1] == "lost")
        assert app.calls == [b"one", b"two", "eof", "lost"]

    meet(Lines, scenario)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_after_the_end_the_rest_of_a_batch_is_dropped(core, meet, end):
    class Lines(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.send_message(b"bye")
            getattr(self.transport, end)()

    async def scenario(loop, peer, app):
        peer.tls.write(b"one\ntwo\n")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        if end == "close":
            assert await peer.do(lambda: peer.tls.read(100)) == b"bye\n"
            with pytest.raises(ConnectionResetError):
                await peer.do(peer.tls.unwrap)
        await app.lost
        assert [call for call in app.calls if call != "eof"] == [b"one", "lost"]

    meet(Lines, scenario)


def test_an_exception_is_reported_and_ends_its_connection_alone(meet):
    class Failing(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def scenario(loop, peer, app):
        peer.tls.write(b"go")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        assert isinstance(await app.lost, ZeroDivisionError)

    meet(Failing, scenario, ["Fatal error on SSL protocol"])


def test_bytes_that_are_no_record_end_the_connection(meet):
    async def scenario(loop, peer, app):
        peer.tls.write(b"good")
        cipher = bytearray(peer.outgoing.read())
        peer.tls.write(b"bad")
        bad = bytearray(peer.outgoing.read())
        bad[-1] ^= 1
        await loop.sock_sendall(peer.sock, cipher)
        await until(lambda: app.received == b"good")
        await loop.sock_sendall(peer.sock, bad)
        exc = await app.lost
        assert isinstance(exc, ssl.SSLError)
        # A newer OpenSSL says that the record layer failed, for which PyPy has no ``reason``.
        assert re.search("bad record mac|record layer failure", str(exc))
        assert app.received == b"good"

    meet(Recorder, scenario)


def test_a_framing_error_is_what_connection_lost_gets(core, meet):
    class Lines(recording_lines(core, max_length=10)):
        def message_received(self, message):
            super().message_received(message)
            self.send_message(b"seen")

    async def scenario(loop, peer, app):
        peer.tls.write(b"one\n" + b"x" * 100)
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        assert await peer.do(lambda: peer.tls.read(100)) == b"seen\n"
        assert isinstance(await app.lost, core.FramingError)
        assert app.calls == [b"one", "lost"]

    meet(Lines, scenario)


def test_another_protocol_gets_what_its_predecessor_left(core, meet):
    heir = []

    class Lines(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            heir.append(Recorder())
            self.transport.set_protocol(heir[0])

    async def scenario(loop, peer, app):
        peer.tls.write(b"upgrade\nthe rest")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        await until(lambda: heir)
        peer.tls.write(b", and more")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        await until(lambda: heir[0].received.endswith(b"more"))
        if heir[0].received != b", and more":  # asyncio's engine knows of no rest
            assert heir[0].received == b"the rest, and more"

    meet(Lines, scenario)


async def pour(peer, data):
    """Send as long as anybody takes it; returns how often that was, and what of the last is left."""
    times, cipher, refused = 0, b"", 0
    while refused < 200:
        if not cipher:
            peer.tls.write(data)
            cipher = peer.outgoing.read()
            times += 1
        try:
            cipher = cipher[peer.sock.send(cipher) :]
            refused = 0
        except BlockingIOError:
            refused += 1
            await asyncio.sleep(0)
    return times, cipher


def test_a_flood_is_held_back_while_reading_is_paused(meet):
    async def scenario(loop, peer, app):
        transport, data = app.transport, bytes(60_000)
        transport.pause_reading()
        times, cipher = await pour(peer, data)
        assert transport.get_read_buffer_size() < 600_000
        assert app.received == b""
        transport.resume_reading()
        await loop.sock_sendall(peer.sock, cipher)
        await until(lambda: len(app.received) == times * len(data))

    meet(Recorder, scenario)


def test_writing_pauses_and_resumes_with_the_peer(meet):
    size = 8_000_000

    class Pouring(Recorder):
        def data_received(self, data):
            for _ in range(8):
                self.transport.write(bytes(size // 8))

    async def scenario(loop, peer, app):
        peer.tls.write(b"go")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        await until(lambda: "pause" in app.calls)
        assert app.transport.get_write_buffer_size() > 0
        received = 0
        while received < size:
            received += len(await peer.do(lambda: peer.tls.read(262_144)))
        await until(lambda: app.calls[-1] == "resume")
        assert app.transport.get_write_buffer_size() == 0

    meet(Pouring, scenario)


def test_close_sends_all_that_was_written_and_then_says_so(meet):
    size = 3_000_000

    class Leaving(Recorder):
        def data_received(self, data):
            self.transport.write(bytes(size))
            self.transport.close()

    async def scenario(loop, peer, app):
        peer.tls.write(b"go")
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        received = 0
        while received < size:
            received += len(await peer.do(lambda: peer.tls.read(262_144)))
        with pytest.raises(ConnectionResetError):  # after our close_notify, behind its own
            await peer.do(peer.tls.unwrap)
        assert await app.lost is None

    meet(Leaving, scenario)


@pytest.mark.parametrize("polite", [True, False])
def test_a_connection_that_is_paused_can_be_closed_when_the_peer_has_gone(meet, polite):
    async def scenario(loop, peer, app):
        app.transport.pause_reading()
        peer.tls.write(b"never read")
        if polite:
            with pytest.raises(ssl.SSLWantReadError):
                peer.tls.unwrap()
        await loop.sock_sendall(peer.sock, peer.outgoing.read())
        peer.sock.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.02)
        app.transport.close()
        await app.lost
        assert app.received == b""

    meet(Recorder, scenario)


def test_interrupts_pass_through(core, engine):
    async def main():
        loop = asyncio.get_running_loop()

        class Interrupted(Recorder):
            def data_received(self, data):
                raise KeyboardInterrupt

        server = await loop.create_server(Interrupted, "127.0.0.1", 0, ssl=SERVER_SIDE)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(
            Recorder, *address, ssl=CLIENT_SIDE, server_hostname="localhost"
        )
        transport.write(b"go")
        try:
            await asyncio.sleep(5)
        finally:
            server.close()
            transport.abort()

    with pytest.raises(KeyboardInterrupt):
        core.run(main())


def test_tls_within_tls(core, engine, drive):
    async def serve(reader, writer):
        writer.write(b"go\n")
        await writer.start_tls(SERVER_SIDE)
        writer.write(await reader.readexactly(100_000))
        writer.close()

    async def scenario(loop):
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=SERVER_SIDE)
        address = server.sockets[0].getsockname()
        options = {"ssl": CLIENT_SIDE, "server_hostname": "localhost"}
        reader, writer = await asyncio.open_connection(*address, **options)
        assert await reader.readline() == b"go\n"
        await writer.start_tls(CLIENT_SIDE, server_hostname="localhost")
        writer.write(b"x" * 100_000)
        assert await reader.readexactly(100_000) == b"x" * 100_000
        writer.close()
        server.close()
        await asyncio.sleep(0.01)

    drive(scenario)
