"""TLS on this loop's connections, with each engine that there is."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from streams_kit import Recorder, until

pytestmark = pytest.mark.usefixtures("engine")

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"


@pytest.fixture(scope="module")
def server_side():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    context.set_alpn_protocols(["h2", "echo"])
    return context


@pytest.fixture(scope="module")
def client_side():
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.set_alpn_protocols(["echo"])
    return context


class Echo(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


async def serving(loop, server_side, factory=Echo, **options):
    """A server, and the list of the protocols that it makes."""
    made = []

    def making():
        made.append(factory())
        return made[-1]

    server = await loop.create_server(making, "127.0.0.1", 0, ssl=server_side, **options)
    return server, made


async def connected(loop, server, client_side, factory=Recorder):
    address = server.sockets[0].getsockname()
    return await loop.create_connection(factory, *address, ssl=client_side, server_hostname="localhost")


def test_an_echo_of_megabytes(drive, server_side, client_side):
    async def scenario(loop):
        server, made = await serving(loop, server_side)
        transport, client = await connected(loop, server, client_side)
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "echo"
        assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
        data = bytes(range(256)) * 10_000
        transport.write(data)
        await until(lambda: len(client.received) == len(data))
        assert client.received == data
        transport.close()
        assert await client.lost is None
        assert await made[0].lost is None
        server.close()

    drive(scenario)


def test_everything_before_the_end_comes_and_then_the_end(drive, server_side, client_side):
    async def scenario(loop):
        server, made = await serving(loop, server_side)
        _, client = await connected(loop, server, client_side)
        await until(lambda: made and made[0].calls)
        made[0].transport.write(b"all")
        made[0].transport.close()
        await client.lost
        assert client.calls == ["made", "data", "eof", "lost"]
        server.close()

    drive(scenario)


def test_a_stream_that_was_cut_is_told_from_one_that_ended(drive, server_side, client_side):
    class Asking(Recorder):
        def eof_received(self):
            super().eof_received()
            self.cut = self.transport.get_extra_info("truncated")

    async def scenario(loop):
        server, made = await serving(loop, server_side)
        for end, cut in (("close", False), ("abort", True), ("close", False)):
            _, client = await connected(loop, server, client_side, Asking)
            await until(lambda: made and made[-1].calls)
            made[-1].transport.write(b"half")
            await until(lambda client=client: client.received)
            getattr(made[-1].transport, end)()
            assert await client.lost is None
            assert client.cut is cut
            made.clear()
        server.close()

    drive(scenario)


def test_a_peer_that_does_not_speak_tls_costs_its_connection_alone(drive, server_side, client_side):
    async def scenario(loop):
        server, _ = await serving(loop, server_side)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        writer.close()
        transport, client = await connected(loop, server, client_side)
        transport.write(b"still here")
        await until(lambda: client.received == b"still here")
        transport.close()
        await client.lost
        server.close()

    drive(scenario)


def test_a_handshake_that_does_not_come_times_out(drive, server_side):
    async def scenario(loop):
        server, _ = await serving(loop, server_side, ssl_handshake_timeout=0.05)
        with socket.create_connection(server.sockets[0].getsockname()) as silent:
            silent.setblocking(False)
            assert await loop.sock_recv(silent, 10) == b""
        server.close()

    drive(scenario)


def test_a_certificate_that_nobody_vouches_for_is_refused(drive, server_side):
    async def scenario(loop):
        server, _ = await serving(loop, server_side)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connected(loop, server, ssl.create_default_context())
        server.close()
        await asyncio.sleep(0.01)

    drive(scenario)


def test_a_client_s_certificate_is_asked_for(drive, client_side):
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERTIFICATE)
    asking.load_cert_chain(CERTIFICATE)
    asking.verify_mode = ssl.CERT_REQUIRED
    showing = ssl.create_default_context(cafile=CERTIFICATE)
    showing.load_cert_chain(CERTIFICATE)

    async def scenario(loop):
        server, made = await serving(loop, asking)
        transport, client = await connected(loop, server, showing)
        transport.write(b"it is me")
        await until(lambda: client.received)
        assert made[-1].transport.get_extra_info("peercert")["subject"]
        transport.close()
        await client.lost
        server.close()

    drive(scenario)


@pytest.mark.parametrize("early", [False, True], ids=["asked", "with bytes that came before"])
def test_start_tls_on_both_sides(drive, server_side, client_side, early):
    """The client's first TLS bytes may come with its last plain ones."""
    done = []

    async def upgrading(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        if not early:
            writer.write(b"go\n")
        await writer.start_tls(server_side)
        writer.write(await reader.readline())
        writer.close()
        done.append(True)

    async def scenario(loop):
        server = await asyncio.start_server(upgrading, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        if not early:
            assert await reader.readline() == b"go\n"
        await writer.start_tls(client_side, server_hostname="localhost")
        writer.write(b"secret\n")
        assert await reader.read() == b"secret\n"
        writer.close()
        await until(lambda: done)
        server.close()

    if hasattr(asyncio.StreamWriter, "start_tls"):
        drive(scenario)


def test_start_tls_while_writing_is_paused(drive, server_side, client_side):
    async def scenario(loop):
        server, made = await serving(loop, None, Recorder)
        transport, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        await until(lambda: made and made[0].calls)
        client.transport.write(bytes(20_000_000))
        assert "pause" in client.calls
        await until(lambda: len(made[0].received) == 20_000_000)
        ends = await asyncio.gather(
            loop.start_tls(made[0].transport, made[0], server_side, server_side=True),
            loop.start_tls(transport, client, client_side, server_hostname="localhost"),
        )
        ends[1].write(b"secret")
        await until(lambda: made[0].received.endswith(b"secret"))
        ends[1].close()
        await client.lost
        server.close()

    drive(scenario)


def test_data_that_came_while_reading_was_paused_is_delivered(drive, server_side, client_side):
    async def scenario(loop):
        server, made = await serving(loop, server_side)
        transport, client = await connected(loop, server, client_side)
        transport.pause_reading()
        await until(lambda: made and made[0].calls)
        made[0].transport.write(b"x" * 5000)
        await asyncio.sleep(0.01)
        assert client.received == b""
        transport.resume_reading()
        await until(lambda: len(client.received) == 5000)
        transport.close()
        await client.lost
        server.close()

    drive(scenario)
