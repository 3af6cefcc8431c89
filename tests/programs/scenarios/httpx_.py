"""httpx (that is anyio) for a client and uvicorn for a server, on one loop."""

import asyncio
from contextlib import asynccontextmanager, nullcontext

import httpx
import uvicorn
from asgi_app import LARGE, app
from common import CERTIFICATE, bytes_of, client_tls, gather, run


class Server(uvicorn.Server):
    """Here it is a task among others, so signals are not its business."""

    def capture_signals(self):
        return nullcontext()


@asynccontextmanager
async def served(**options):
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", access_log=False, **options)
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def use(base, **options):
    async with httpx.AsyncClient(base_url=base, verify=client_tls(), trust_env=False, **options) as client:

        async def fetch(number):
            sent = bytes_of(number * 5000, b"%d" % number)
            assert (await client.post("/echo", content=sent)).content == sent

        await gather(fetch)
        assert (await client.post("/echo", content=LARGE)).content == LARGE
        async with client.stream("GET", "/large") as response:
            assert b"".join([piece async for piece in response.aiter_bytes()]) == LARGE


async def main():
    for http in ("h11", "httptools"):
        async with served(http=http) as port:
            await use(f"http://127.0.0.1:{port}")
    async with served(ssl_certfile=CERTIFICATE, ssl_keyfile=CERTIFICATE) as port:
        await use(f"https://localhost:{port}")


run(main)
