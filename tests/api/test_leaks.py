"""Nothing stays behind: not a descriptor, not an object, not memory, whatever way connections end.

A round is what a service lives through: clients that come and go, others that are cancelled in the middle,
TLS from the start and later, datagrams. The cheap parts run 500 times, those with TLS, a handshake or
two a round, 200 times. The first rounds fill caches; what grows after them is a leak.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections import Counter
from pathlib import Path

import pytest
from streams_kit import COUNTS_REFERENCES, collect

from cyreactor import limits

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"
PROC = Path("/proc/self")
WARM_UP = 20
PACKAGES = {"cyreactor", "asyncio", "_asyncio", "socket", "ssl", "_ssl"}
PAGE = os.sysconf("SC_PAGE_SIZE")


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


SERVER_TLS = server_context()
CLIENT_TLS = ssl.create_default_context(cafile=CERTIFICATE)


async def echo(reader, writer):
    try:
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # a rude client
    finally:
        writer.close()


async def give_up(task):
    """Cancel what is under way."""
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


async def ask(reader, writer):
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"


async def polite(streams, address, **options):
    reader, writer = await streams.open_connection(*address, **options)
    await ask(reader, writer)
    writer.close()
    await writer.wait_closed()


async def rude(streams, address):
    """Leaves with an answer on its way."""
    reader, writer = await streams.open_connection(*address)
    await ask(reader, writer)
    writer.write(b"x" * 100_000)
    writer.transport.abort()


async def clients(streams=asyncio):
    server = await streams.start_server(echo, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()
        await asyncio.gather(*(client(streams, address) for client in (polite, polite, rude)))


async def cancelled_connects():
    """One before its first step, one while it waits."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        for steps in (0, 1, 2):
            opening = asyncio.ensure_future(asyncio.open_connection(*target.getsockname()))
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
            if isinstance(outcome, tuple):  # it was quicker
                outcome[1].transport.abort()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", unused_port())


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def cancelled_reads(streams=asyncio):
    ours, theirs = socket.socketpair()
    reader, writer = await streams.open_connection(sock=ours)
    reading = asyncio.ensure_future(reader.readline())
    writing = asyncio.ensure_future(flood(writer))
    await asyncio.sleep(0)
    await give_up(reading)
    await give_up(writing)
    theirs.close()
    writer.transport.abort()
    await asyncio.sleep(0)


async def flood(writer):
    while True:
        writer.write(b"x" * 100_000)
        await writer.drain()


async def dropped_streams(streams):
    """Nobody closes it, and nobody awaits a read of it any more; nor one that was never begun."""
    ours, theirs = socket.socketpair()
    reader, _ = await streams.open_connection(sock=ours)
    reading = reader.readline()
    reading.send(None)
    reader.readexactly(5)
    del reader, reading, _, ours
    theirs.close()
    await asyncio.sleep(0)
    gc.collect(1)


async def cancelled_sock_calls():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listening:
        for sock in (ours, theirs, listening):
            sock.setblocking(False)
        calls = [
            asyncio.ensure_future(call)
            for call in (
                loop.sock_recv(ours, 1000),
                loop.sock_recv_into(theirs, bytearray(1000)),
                loop.sock_accept(listening),
            )
        ]
        await asyncio.sleep(0)
        for call in calls:
            await give_up(call)
        sending = asyncio.ensure_future(loop.sock_sendall(ours, b"x" * 2_000_000))
        await asyncio.sleep(0)
        await give_up(sending)
        for _ in range(limits.CALLBACKS_PER_POLL + 1):  # a timer may be due before the loop looks
            await asyncio.sleep(0)  # it sees what has come, whose calls it then forgets


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answers):
        self.answers = answers
        self.received = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.received.put_nowait(data)
        if self.answers:
            self.transport.sendto(data, address)


async def datagrams():
    loop = asyncio.get_running_loop()
    there, _ = await loop.create_datagram_endpoint(lambda: Datagrams(True), local_addr=("127.0.0.1", 0))
    address = there.get_extra_info("sockname")
    here, protocol = await loop.create_datagram_endpoint(lambda: Datagrams(False), remote_addr=address)
    for number in range(5):
        here.sendto(b"%d" % number)
        assert await asyncio.wait_for(protocol.received.get(), 5) == b"%d" % number
    here.close()
    there.abort()
    await asyncio.sleep(0)


async def upgrade(reader, writer):
    """A server that switches to TLS when it is asked to."""
    await reader.readline()
    writer.write(b"now\n")
    await writer.start_tls(SERVER_TLS)
    await echo(reader, writer)


async def tls(streams=asyncio):
    async with await streams.start_server(echo, "127.0.0.1", 0, ssl=SERVER_TLS) as server:
        address = server.sockets[0].getsockname()
        await polite(streams, address, ssl=CLIENT_TLS)
        handshake = asyncio.ensure_future(streams.open_connection(*address, ssl=CLIENT_TLS))
        for _ in range(4):
            await asyncio.sleep(0)
        await give_up(handshake)


async def start_tls(streams=asyncio):
    async with await streams.start_server(upgrade, "127.0.0.1", 0) as server:
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        writer.write(b"TLS, please\n")
        assert await reader.readline() == b"now\n"
        await writer.start_tls(CLIENT_TLS, server_hostname="localhost")
        await ask(reader, writer)
        writer.close()
        await writer.wait_closed()


async def settled():
    """Until the other sides of this round's connections are gone as well."""
    me = asyncio.current_task()
    for _ in range(1000):
        if asyncio.all_tasks() == {me}:
            break
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.002)


def held():
    """Descriptors, and the objects of cyreactor's and asyncio's types (and of what they are made of)."""
    if not COUNTS_REFERENCES:
        tidy(asyncio.get_running_loop())
    kinds, before = kept(), None
    while kinds != before and not COUNTS_REFERENCES:  # one finalizer more was run
        kinds, before = kept(), kinds
    return len(list((PROC / "fd").iterdir())), kinds


def tidy(loop):
    """PyPy's dictionaries refer to what was deleted from them until they need its place."""
    for owner in (loop, loop._poller):
        for table in vars(owner).values():
            if type(table) is dict:
                items = list(table.items())
                table.clear()
                table.update(items)


def kept():
    collect()
    return Counter(name_of(type(item)) for item in gc.get_objects() if is_counted(item))


def name_of(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def is_counted(item):
    kind = type(item)
    if str(kind.__module__).partition(".")[0] not in PACKAGES:
        return False
    # A cancelled timer holds nothing any more, and rests in asyncio's heap until there are a hundred.
    return not (kind.__name__ == "TimerHandle" and item.cancelled())


def memory():
    return int((PROC / "statm").read_text().split()[1]) * PAGE


async def repeat(part, rounds):
    """What is held and used after the warm-up, and after each half of the rounds.

    A leak makes every half grow. The allocator's own comings and goings do not: as long as the last
    half grew there is another one, up to a few.
    """
    await go_on(part, WARM_UP)
    samples = [(*held(), memory())]
    for _ in range(6):
        await go_on(part, rounds // 2)
        samples.append((*held(), memory()))
        if len(samples) > 2 and not grew(samples):
            break
    return samples


async def go_on(part, rounds):
    for _ in range(rounds):
        await asyncio.wait_for(part(), 10)
    await settled()


def grew(samples):
    return samples[-1][2] - samples[-2][2] >= 1 << 20


def check(core, part, rounds):
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await repeat(part, rounds)

    samples = core.run(main())
    (descriptors, kinds, _), (later_descriptors, later_kinds, _) = samples[0], samples[-1]
    assert complaints == []
    assert later_descriptors == descriptors
    assert later_kinds - kinds == Counter()
    assert not grew(samples)


@pytest.mark.parametrize(
    "part", [clients, cancelled_connects, cancelled_reads, cancelled_sock_calls, datagrams]
)
def test_plain_connections_leave_nothing(core, part):
    check(core, part, 500)


@pytest.mark.parametrize("part", [tls, start_tls])
def test_tls_leaves_nothing(core, part):
    check(core, part, 200)


@pytest.mark.parametrize("part", [clients, cancelled_reads])
def test_native_streams_leave_nothing(core, part):
    check(core, lambda: part(core), 500)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:coroutine 'StreamReader:RuntimeWarning")
def test_streams_that_nobody_keeps_leave_nothing(core):
    check(core, lambda: dropped_streams(core), 500)


@pytest.mark.parametrize("part", [tls, start_tls])
def test_tls_on_native_streams_leaves_nothing(core, part):
    check(core, lambda: part(core), 200)
