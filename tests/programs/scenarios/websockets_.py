"""websockets: an echo server and its clients, in the clear and by TLS, with and without compression."""

import asyncio
import tempfile
from pathlib import Path

from common import bytes_of, client_tls, gather, run, server_tls
from websockets.asyncio.client import connect, unix_connect
from websockets.asyncio.server import serve, unix_serve

CONTENT = bytes_of(2 << 20)
PLAIN = {"compression": None, "max_size": 8 << 20}
DEFLATED = {"compression": "deflate", "max_size": 8 << 20}


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def talk(connection, number):
    for text in (f"client {number}", "", "ä" * 20_000):
        await connection.send(text)
        assert await connection.recv() == text
    await (await connection.ping())
    many = [b"%d" % part for part in range(200)]
    for message in many:
        await connection.send(message)
    assert [await connection.recv() for _ in many] == many


async def many_clients(options, address, tls):
    async def client(number):
        async with connect(address, ssl=tls, **options) as connection:
            await talk(connection, number)

    await gather(client)
    async with connect(address, ssl=tls, **options) as connection:
        await asyncio.gather(*(connection.send(CONTENT) for _ in range(3)))
        for _ in range(3):
            assert await connection.recv() == CONTENT


async def server_closes(address, server, tls):
    """Every client hears that the server goes away."""
    connections = [await connect(address, ssl=tls) for _ in range(10)]
    server.close()
    for connection in connections:
        await connection.wait_closed()
        assert connection.close_code == 1001
    await server.wait_closed()


async def over_tcp(tls, options):
    context = server_tls() if tls else None
    async with serve(echo, "127.0.0.1", 0, ssl=context, **options) as server:
        port = server.sockets[0].getsockname()[1]
        address = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        await many_clients(options, address, client_tls() if tls else None)
        await server_closes(address, server, client_tls() if tls else None)


async def over_unix():
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "socket"))
        async with unix_serve(echo, path), unix_connect(path) as connection:
            await talk(connection, 0)


async def main():
    await over_tcp(False, PLAIN)
    await over_tcp(True, DEFLATED)
    await over_unix()


run(main)
