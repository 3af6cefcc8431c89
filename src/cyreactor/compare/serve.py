"""The process of one server: ``python -m cyreactor.compare.serve SPECIFICATION``.

It says its port on the standard output as JSON, or ``error``. One that is measured inside says port 0,
and answers each line of its standard input, the seconds to measure, with what it measured.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable
from json import loads
from typing import Any, TextIO

from . import inside, servers, threads
from .child import CERTIFICATE, end_with_parent, freeze, in_one_line, named, prepare, say


def main() -> None:
    specification = loads(sys.argv[1])
    channel = prepare(specification["cpu"])
    if ":" not in specification["server"]:  # what a protocol of the user's raises is worth telling
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients leave in the middle of answers
    try:
        run(specification, channel)
    except Exception as exc:
        say(channel, error=in_one_line(exc))
        raise SystemExit(1) from None


def run(specification: dict[str, Any], channel: TextIO) -> None:
    name, factory = specification["server"], specification["factory"]
    if not factory:
        run_threads(name, context(specification), channel)
        return
    make_loop = named(factory)
    if specification["kind"] == "inside":
        run_inside(make_loop(), name, channel)
        return
    end_with_parent()
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(serve(specification, channel))


def run_threads(name: str, context: ssl.SSLContext | None, channel: TextIO) -> None:
    end_with_parent()
    port, serve_forever = threads.listen(name, context)
    freeze()
    say(channel, port=port)
    serve_forever()


def run_inside(loop: asyncio.AbstractEventLoop, name: str, channel: TextIO) -> None:
    say(channel, port=0)
    freeze()
    for line in sys.stdin:
        operations, seconds, cpu = inside.measure(loop, name, float(line))
        say(channel, operations=operations, seconds=seconds, cpu=cpu)
    loop.close()


async def serve(specification: dict[str, Any], channel: TextIO) -> None:
    """Listen, and never end: ``serve_forever`` closes the listening socket on some loops."""
    server = await listen(specification)
    address = server.get_extra_info("sockname") if specification["kind"] == "datagram" else None
    port = address[1] if address else server.sockets[0].getsockname()[1]
    freeze()
    say(channel, port=port)
    await asyncio.Event().wait()


async def listen(specification: dict[str, Any]) -> Any:
    name, ours = specification["server"], specification["ours"]
    options = {"host": "127.0.0.1", "port": 0, "backlog": 1024}
    if specification["tls"]:
        options["ssl"] = context(specification)
    loop = asyncio.get_running_loop()
    if specification["kind"] == "datagram":
        return (await loop.create_datagram_endpoint(servers.Datagrams, ("127.0.0.1", 0)))[0]
    if name == "sockets":
        return await servers.serve_sockets()
    if name in servers.STREAMS:
        return await servers.start_streams(name, ours)(servers.readline, **options)
    factory: Callable[[], Any] = named(name) if ":" in name else servers.protocol(name, ours)
    factory()  # one that fails says so here, and not on every connection
    return await loop.create_server(factory, **options)  # type: ignore[call-overload]


def context(specification: dict[str, Any]) -> ssl.SSLContext | None:
    if not specification["tls"]:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE)
    return made


if __name__ == "__main__":
    main()
