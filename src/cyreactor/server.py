"""serve(): protocols on an address until a signal ends it, and an orderly end.

The signal handlers are Python's plain ones, not the loop's: they run even while a callback is stuck.
The first signal puts the former handlers back before anything else, so that a second one has its
usual effect at once, whatever the shutdown is waiting for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .reactor import Factory, Reactor

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Connections that the kernel holds until they are accepted: a burst that is larger waits a second,
# which is when TCP tries again.
BACKLOG = 1024

# Seconds that a shutdown waits for clients to take what they were sent: less than the shortest that is
# common between SIGTERM and SIGKILL, the ten of container engines.
GRACE = 8.0


def serve(
    factory: Factory,
    host: str | None = None,
    port: int | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    backlog: int = BACKLOG,
    reuse_port: bool = False,
    grace: float = GRACE,
    ready: Callable[[asyncio.Server], Any] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM comes, then shut down in order and return.

    Listens as ``Reactor.listen`` does, on TCP ``host:port`` or on the Unix socket ``path``, with a
    protocol made by ``factory`` for each connection. With ``reuse_port`` several processes listen on
    one port, and share its connections. ``ready`` is called once with the server when it listens: its
    ``sockets`` tell the addresses.

    The shutdown accepts nobody any more and closes every connection, which first sends what it has
    queued; after ``grace`` seconds the rest is aborted. A second signal does what it would do
    without this function: Ctrl-C raises KeyboardInterrupt.

    Raises OSError where the address cannot be had, and RuntimeError outside of the main thread,
    which is the only one that signals reach: there, use ``Reactor.listen`` and ``Reactor.run``.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve() ends by a signal and works in the main thread only; use Reactor.listen()")

    def listen(reactor: Reactor) -> asyncio.Server:
        return reactor.listen(factory, host, port, path=path, backlog=backlog, reuse_port=reuse_port)

    with asyncio.Runner(loop_factory=Reactor) as runner:
        runner.run(_serve(listen, grace, ready))


async def _serve(
    listen: Callable[[Reactor], asyncio.Server],
    grace: float,
    ready: Callable[[asyncio.Server], Any] | None,
) -> None:
    reactor = asyncio.get_running_loop()
    assert isinstance(reactor, Reactor)
    stop = asyncio.Event()
    with _signals_call(lambda: reactor.call_soon_threadsafe(stop.set)):
        server = listen(reactor)
        try:
            if ready is not None:
                ready(server)
            await stop.wait()
        finally:
            await _shut_down(reactor, server, grace)


async def _shut_down(reactor: Reactor, server: asyncio.Server, grace: float) -> None:
    drained = reactor.create_task(server.wait_closed())
    await asyncio.sleep(0)  # before Python 3.12 it waits for connections only if it began before close()
    server.close()
    for connection in list(reactor.connections()):
        connection.close()
    await asyncio.wait([drained], timeout=grace)
    for connection in list(reactor.connections()):
        connection.abort()
    await asyncio.sleep(0)  # connection_lost of those was scheduled earlier, so it has been called now


@contextmanager
def _signals_call(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` on the first signal; from then on, and afterwards, the former handlers are in place."""
    former: dict[signal.Signals, Any] = {}

    def restore() -> None:
        while former:
            number, handler = former.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def on_signal(number: int, frame: object) -> None:
        restore()
        stop()

    for number in SIGNALS:
        former[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
