"""aiohttp: a server with a static file and a WebSocket, and its client, in the clear and by TLS."""

import asyncio
import io
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from common import bytes_of, client_tls, gather, run, server_tls

CONTENT = bytes_of(4 << 20)


async def echo(request):
    return web.Response(body=await request.read())


async def stall(request):
    await asyncio.sleep(60)


async def websocket(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


@asynccontextmanager
async def served(folder, tls):
    app = web.Application(client_max_size=8 << 20)
    app.add_routes([web.post("/echo", echo), web.get("/stall", stall), web.get("/ws", websocket)])
    app.router.add_static("/files", folder)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls() if tls else None).start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def use(session, base):
    async def fetch(number):
        sent = bytes_of(number * 1000, b"%d" % number)
        async with session.post(f"{base}/echo", data=sent) as response:
            assert await response.read() == sent

    await gather(fetch)
    async with session.post(f"{base}/echo", data=io.BytesIO(CONTENT)) as response:
        assert await response.read() == CONTENT
    async with session.get(f"{base}/files/content.bin") as response:
        assert await response.read() == CONTENT
    async with session.get(f"{base}/files/content.bin", headers={"Range": "bytes=7-1000006"}) as response:
        assert response.status == 206
        assert await response.read() == CONTENT[7:1000007]


async def give_up(session, base):
    """A client that loses patience closes its connection, which cancels nothing else."""
    try:
        async with session.get(f"{base}/stall", timeout=aiohttp.ClientTimeout(total=0.05)):
            raise AssertionError
    except TimeoutError:
        pass


async def talk(session, base):
    async with session.ws_connect(f"{base}/ws", max_msg_size=0) as socket:
        for size in (0, 1, 1 << 16, 1 << 20):
            await socket.send_bytes(CONTENT[:size])
            assert await socket.receive_bytes() == CONTENT[:size]


async def main():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "content.bin").write_bytes(CONTENT)
        for tls in (False, True):
            connector = aiohttp.TCPConnector(ssl=client_tls())
            async with served(folder, tls) as base, aiohttp.ClientSession(connector=connector) as session:
                await use(session, base)
                await give_up(session, base)
                await gather(lambda _: talk(session, base), 5)
            await asyncio.sleep(0.05)  # nobody else waits for the round trip that ends a TLS connection


run(main)
