"""hypercorn, asked over HTTP/1.1 and, by TLS, over HTTP/2; and its WebSocket."""

import asyncio
import socket
from contextlib import asynccontextmanager

import httpx
from asgi_app import LARGE, app
from common import CERTIFICATE, bytes_of, client_tls, gather, run
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websockets.asyncio.client import connect


@asynccontextmanager
async def served(tls):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = Config()
        config.bind = [f"fd://{sock.fileno()}"]
        config.loglevel = "WARNING"
        if tls:
            config.certfile = config.keyfile = str(CERTIFICATE)
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
        yield sock.getsockname()[1]
        stop.set()
        await serving
        sock.detach()  # hypercorn has closed it


async def use(base, http2):
    options = {"http2": http2, "http1": not http2, "verify": client_tls(), "trust_env": False}
    async with httpx.AsyncClient(base_url=base, **options) as client:

        async def fetch(number):
            sent = bytes_of(number * 2000, b"%d" % number)
            response = await client.post("/echo", content=sent)
            assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert response.content == sent

        await gather(fetch)
        assert (await client.get("/large")).content == LARGE


async def talk(address, tls, number):
    async with connect(address, ssl=tls) as connection:
        for message in (f"client {number}", bytes_of(300_000)):
            await connection.send(message)
            assert await connection.recv() == message


async def main():
    async with served(tls=False) as port:
        await use(f"http://127.0.0.1:{port}", http2=False)
        await gather(lambda number: talk(f"ws://127.0.0.1:{port}", None, number))
    async with served(tls=True) as port:
        await use(f"https://localhost:{port}", http2=True)
        await use(f"https://localhost:{port}", http2=False)
        await gather(lambda number: talk(f"wss://localhost:{port}", client_tls(), number), 5)


run(main)
