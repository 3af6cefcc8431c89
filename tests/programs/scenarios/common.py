"""What the scenarios share. Each is a script of its own: ``python -W error -X dev scenarios/aiohttp_.py``.

It runs on the core that ``CYREACTOR_BACKEND`` names, or with ``--stock`` on asyncio's own loop: what fails
there too is no fault of the reactor's.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import ssl
import sys
from pathlib import Path

CERTIFICATE = Path(__file__).parents[2] / "certificates" / "localhost.pem"
CLIENTS = 40
SECONDS = 40


def new_loop():
    if "--stock" in sys.argv:
        return asyncio.SelectorEventLoop()
    import cyreactor

    return cyreactor.Reactor()


def run(main):
    """Run the scenario as a service does, then once more in debug mode, and say so at the end."""
    for debug in (False, True):
        with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
            runner.get_loop().slow_callback_duration = SECONDS
            runner.run(asyncio.wait_for(main(), SECONDS))
            assert not asyncio.all_tasks(runner.get_loop())
        gc.collect()  # what was left open warns now
    done()


def done():
    print("done")


def bytes_of(size, seed=b"cyreactor"):
    """Reproducible noise, which no compression makes small."""
    return hashlib.shake_128(seed).digest(size)


def server_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_tls():
    return ssl.create_default_context(cafile=CERTIFICATE)


async def gather(make, count=CLIENTS):
    """Many clients at once, each told its number."""
    return await asyncio.gather(*(make(number) for number in range(count)))
