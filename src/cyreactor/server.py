"""serve(): a protocol on an address until a signal ends it, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from .reactor import Factory, Reactor

# Seconds between two looks at who is still sending during the shutdown.
PATIENCE = 0.02


def serve(
    factory: Factory,
    host: str | None = None,
    port: int | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    backlog: int = 1024,
    grace: float = 10.0,
    ready: Callable[[asyncio.Server], Any] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then shut down in order and return.

    Listens as ``Reactor.listen`` does: on TCP ``host:port`` or on the Unix socket ``path``. ``ready`` is
    called with the server once it listens. The shutdown accepts nothing more, lets every connection
    send what it has queued, for ``grace`` seconds at most, and closes it; a second signal ends the
    wait. Call it from the main thread, which is where Python's signals arrive.
    """
    with Reactor() as reactor:
        for name in (signal.SIGINT, signal.SIGTERM):
            reactor.add_signal_handler(name, reactor.stop)
        server = reactor.listen(factory, host, port, path=path, backlog=backlog)
        try:
            if ready is not None:
                ready(server)
            reactor.run()
        finally:
            server.close()
            shut_down(reactor, grace)
            if path is not None and os.path.exists(path):
                os.unlink(path)


def shut_down(reactor: Reactor, grace: float) -> None:
    """Close every connection once it has sent what it queued; abort what is left after ``grace`` seconds."""
    for connection in reactor.connections():
        connection.close()
    deadline = reactor.time() + grace

    def look() -> None:
        if not list(reactor.connections()) or reactor.time() >= deadline:
            reactor.stop()
        else:
            reactor.call_later(PATIENCE, look)

    reactor.call_soon(look)
    reactor.run()
    for connection in reactor.connections():
        connection.abort()
    reactor.call_soon(reactor.stop)
    reactor.run()
