"""Third-party programs on each loop: ``python bench/services.py [--seconds S] [--rounds N]``.

uvicorn with httptools, and aiohttp, say hello to wrk; asyncpg asks a PostgreSQL for ``SELECT 1``. All but
asyncpg are measured as the others here are; of asyncpg it is the client that runs on the loop. A cell is
empty where a program does not run on that loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from files import requests
from processes import LOOPS, available, pin, serving
from rounds import Server, cpus, heading, options, row
from servers import announce, run_on

SERVERS = {"uvicorn + httptools, hello": "uvicorn", "aiohttp, hello": "aiohttp"}
CONNECTIONS = (10, 200)


async def hello(scope, receive, send):
    """The ASGI application."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, World!"})


async def uvicorn():
    import uvicorn

    quiet = {"log_level": "error", "access_log": False, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(hello, port=0, http="httptools", **quiet))
    running = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await announce(server.servers[0].sockets[0].getsockname()[1])
    await running


async def aiohttp():
    from aiohttp import web

    async def answer(request):
        return web.Response(text="Hello, World!")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await announce(site._server.sockets[0].getsockname()[1])


async def asyncpg(port, seconds):
    """Ask for so long; prints operations, seconds and CPU seconds."""
    import asyncpg

    connection = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", ssl=False)
    statement = await connection.prepare("SELECT 1")
    for _ in range(200):
        await statement.fetchval()
    started, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(20):
            await statement.fetchval()
        count += 20
    print(count, time.perf_counter() - started, time.process_time() - cpu)
    await connection.close()


class Client(Server):
    """A client that is measured in its own process."""

    def __init__(self, label, port, seconds):
        super().__init__(None, port)
        self.command, self.core = command(label, "asyncpg", port, seconds)

    def ask(self, cpu):
        output = subprocess.run(
            self.command, env={**os.environ, **self.core}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, check=True, preexec_fn=pin(cpu),
        ).stdout  # fmt: skip
        count, seconds, used = map(float, output.split())
        self.rates.append(count / seconds)
        self.cpu.append(used / count * 1e6)


def command(label, program, *arguments):
    """What runs one of the coroutines above on a loop, and the environment that chooses the core."""
    loop, core = LOOPS[label]
    line = [sys.executable, __file__, "--run", loop, program, *map(str, arguments)]
    return line, {"CYREACTOR_BACKEND": core} if core else {}


def served(program, connections, labels, chosen):
    """The servers after all rounds."""
    server_cpu, client_cpu = cpus()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{chosen.seconds}s"]
    with contextlib.ExitStack() as stack:
        servers = []
        for label in labels:
            line, core = command(label, program)
            try:
                servers.append(Server(*stack.enter_context(serving(line, server_cpu, **core))))
            except RuntimeError:
                servers.append(None)
        for _ in range(chosen.rounds):
            for server in filter(None, servers):
                server.round([*wrk, f"http://127.0.0.1:{server.port}/"], client_cpu, requests)
    return servers


def asked(port, labels, chosen):
    clients = [Client(label, port, chosen.seconds) for label in labels]
    for _ in range(chosen.rounds):
        for client in clients:
            with contextlib.suppress(subprocess.CalledProcessError):
                client.ask(cpus()[0])
    return [client if client.rates else None for client in clients]


@contextlib.contextmanager
def postgres():
    """The port of a PostgreSQL server, started as for the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "programs"))
    services = importlib.import_module("services")
    with services.postgres() as port:
        yield port


def main():
    chosen = options(__doc__, rounds=3, type=int, default=2).parse_args()
    labels = available()
    print(heading(labels))
    for title, program in SERVERS.items():
        if importlib.util.find_spec(program):
            for connections in CONNECTIONS:
                label = f"{title}, {connections} connections"
                if chosen.only in label:
                    print(row(label, served(program, connections, labels, chosen)), flush=True)
    if importlib.util.find_spec("asyncpg") and chosen.only in "asyncpg, SELECT 1":
        with postgres() as port:
            print(row("asyncpg, SELECT 1", asked(port, labels, chosen)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        logging.disable()
        loop, program, *arguments = sys.argv[2:]
        run_on(loop, globals()[program](*map(int, arguments)))
    else:
        main()
