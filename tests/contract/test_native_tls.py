"""TLS on streams of cyreactor's: from the start and later, what was read too far, and who is held back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from streams_kit import until
from tls_kit import Peer

pytestmark = pytest.mark.usefixtures("engine")

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"


@pytest.fixture(scope="module")
def server_side():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture(scope="module")
def client_side():
    return ssl.create_default_context(cafile=CERTIFICATE)


async def echo(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()


def test_tls_from_the_start(core, play, server_side, client_side):
    async def scenario():
        async with await core.start_server(echo, "127.0.0.1", 0, ssl=server_side) as server:
            address = server.sockets[0].getsockname()
            options = {"ssl": client_side, "server_hostname": "localhost"}
            reader, writer = await core.open_connection(*address, **options)
            assert writer.get_extra_info("ssl_object").version().startswith("TLS")
            assert not writer.can_write_eof()
            writer.write(b"x" * 60_000 + b"\n")
            assert len(await reader.readline()) == 60_001
            writer.close()
            assert await reader.read() == b""
            await writer.wait_closed()

    play(scenario)


def test_tls_later_on_both_sides(core, play, server_side, client_side):
    async def scenario():
        async def serve(reader, writer):
            assert await reader.readline() == b"TLS, please\n"
            writer.write(b"now\n")
            await writer.start_tls(server_side)
            await echo(reader, writer)

        async with await core.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await core.open_connection(*server.sockets[0].getsockname())
            plain = writer.transport
            writer.write(b"TLS, please\n")
            assert await reader.readline() == b"now\n"
            await writer.start_tls(client_side, server_hostname="localhost")
            assert writer.transport is not plain
            writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            writer.close()
            assert await reader.read() == b""
            await writer.wait_closed()

    play(scenario)


@pytest.mark.parametrize("limit", [65536, 20])  # with 20 the reader is held back by then
def test_what_was_read_too_far_begins_the_handshake(core, play, server_side, client_side, limit):
    async def scenario():
        ours, theirs = socket.socketpair()
        peer = Peer(client_side, theirs)
        reader, writer = await core.open_connection(sock=ours, limit=limit)
        shaking = asyncio.ensure_future(peer.do(peer.handshake, first=b"last plain line\n"))
        assert await reader.readline() == b"last plain line\n"
        assert reader.pending > 100
        await writer.start_tls(server_side, server_side=True)
        await shaking
        assert reader.pending == 0
        for _ in range(3):  # as long as a ticket is on its way
            writer.write(b"secret\n")
            await peer.do(lambda: peer.tls.write(b"answer\n"))
            assert await reader.readline() == b"answer\n"
            assert await peer.do(lambda: peer.tls.read(100)) == b"secret\n"
        writer.transport.abort()
        theirs.close()

    play(scenario)


def test_plain_lines_in_front_of_the_handshake_are_not_taken_for_secret_ones(
    core, play, server_side, client_side
):
    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda *report: None)
        ours, theirs = socket.socketpair()
        peer = Peer(client_side, theirs)
        reader, writer = await core.open_connection(sock=ours)
        shaking = asyncio.ensure_future(peer.do(peer.handshake, first=b"STARTTLS\nRCPT TO:<me>\n"))
        assert await reader.readline() == b"STARTTLS\n"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await writer.start_tls(server_side, server_side=True)
        assert reader.pending == 0
        await asyncio.gather(shaking, return_exceptions=True)
        writer.close()
        theirs.close()

    play(scenario)


@pytest.mark.parametrize("late", [False, True])
def test_a_flood_over_tls_is_held_back(core, play, server_side, client_side, late):
    limit, size = 1000, 3_000_000

    async def scenario():
        async def flood(reader, writer):
            if late:
                await writer.start_tls(server_side)
            writer.write(b"x" * size)
            await writer.drain()
            writer.close()

        options = {} if late else {"ssl": server_side}
        async with await core.start_server(flood, "127.0.0.1", 0, **options) as server:
            address = server.sockets[0].getsockname()
            if late:
                reader, writer = await core.open_connection(*address, limit=limit)
                await writer.start_tls(client_side, server_hostname="localhost")
            else:
                options = {"ssl": client_side, "server_hostname": "localhost", "limit": limit}
                reader, writer = await core.open_connection(*address, **options)
            await until(lambda: reader.pending > 2 * limit)
            await asyncio.sleep(0.1)  # the rest would come
            assert reader.pending < 1_000_000
            assert len(await reader.readexactly(size)) == size
            writer.close()
            assert await reader.read() == b""

    play(scenario)
