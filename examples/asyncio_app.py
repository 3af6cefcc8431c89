"""An asyncio program on cyreactor's loop, or on asyncio's own: streams, timeouts, work in threads.

    python examples/asyncio_app.py [--host HOST] [--port PORT] [--loop LOOP] [--clients COUNT]

It serves lines: ``echo TEXT`` and ``hash TEXT``. With ``--clients`` that many clients of its own ask it, and
it tells how long that took; with ``--loop asyncio`` it does so on asyncio's own loop.
"""

import argparse
import asyncio
import hashlib
import time

import cyreactor

IDLE = 60.0  # seconds after which a client that asks nothing, or does not read, is hung up on
QUESTIONS = 500  # of each of our own clients


async def serve_client(reader, writer):
    """Answer lines until there are no more of them; what breaks off is the client's own business."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(IDLE) as patience:
            while line := await reader.readline():
                writer.write(await answer(line) + b"\n")
                await writer.drain()  # waits while the client does not read
                patience.reschedule(loop.time() + IDLE)
            writer.close()
            await writer.wait_closed()
    except (OSError, ValueError):  # time is up, the client has left, or a line has no end
        pass
    finally:
        writer.transport.abort()  # which does nothing to one that is closed


async def answer(line):
    match line.split(maxsplit=1):
        case [b"echo", text]:
            return text.rstrip()
        case [b"hash", text]:  # a tenth of a second's work: a thread does it, and the loop goes on
            digest = await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", text.rstrip(), b"salt", 100_000)
            return digest.hex().encode()
        case _:
            return b"error: it is echo TEXT or hash TEXT"


async def ask(host, port):
    """A client of our own. Raises OSError, which a timeout is too."""
    async with asyncio.timeout(IDLE):
        reader, writer = await cyreactor.open_connection(host, port)
        for number in range(QUESTIONS):
            writer.write(b"echo %d\n" % number)
            if await reader.readline() != b"%d\n" % number:
                raise ConnectionError("the server answers something else")
        writer.close()
        await writer.wait_closed()


async def serve(options):
    # These streams are asyncio's in all but speed, and work on any loop.
    server = await cyreactor.start_server(serve_client, options.host, options.port)
    ours = isinstance(asyncio.get_running_loop(), cyreactor.Reactor)
    loop = f"{cyreactor.backend} core" if ours else "asyncio"
    host, port, *_ = server.sockets[0].getsockname()
    print(f"serving on {host}:{port}, {loop}", flush=True)
    try:
        if options.clients is None:
            await asyncio.Event().wait()  # until Ctrl-C cancels it
        began = time.perf_counter()
        await asyncio.gather(*(ask(host, port) for _ in range(options.clients)))
        seconds = time.perf_counter() - began
        print(f"{options.clients * QUESTIONS} answers in {seconds:.3f} s, {loop}")
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--loop", choices=("cyreactor", "asyncio"), default="cyreactor")
    parser.add_argument("--clients", metavar="COUNT", type=int, help="ask it with so many clients, and end")
    options = parser.parse_args()
    run = cyreactor.run if options.loop == "cyreactor" else asyncio.run
    try:
        run(serve(options))
    except KeyboardInterrupt:
        pass
    except (OSError, OverflowError, ValueError) as exc:
        parser.exit(1, f"asyncio_app: {exc}\n")


if __name__ == "__main__":
    main()
