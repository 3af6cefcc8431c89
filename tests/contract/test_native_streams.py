"""Streams of cyreactor's on its own loop, on asyncio's and on uvloop's."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import warnings
import weakref

import pytest
from reader_kit import begun, turn
from streams_kit import Recorder, collect, reset, until


async def connected(core, **options):
    """A reader and a writer, and the blocking peer of them, whose calls do not block."""
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    return *await core.open_connection(sock=ours, **options), peer


async def away(writer):
    writer.close()
    await writer.wait_closed()


async def served(core, serve, **options):
    """A server on TCP, and where it listens."""
    server = await core.start_server(serve, "127.0.0.1", 0, **options)
    return server, server.sockets[0].getsockname()


async def echo(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()


def test_an_echo_of_lines(core, play):
    async def scenario():
        server, address = await served(core, echo)
        async with server:
            reader, writer = await core.open_connection(*address)
            assert isinstance(reader, asyncio.StreamReader)
            assert isinstance(writer, asyncio.StreamWriter)
            for number in range(100):
                writer.writelines([b"%d" % number, b"\n"])
                assert await reader.readline() == b"%d\n" % number
            assert writer.can_write_eof()
            writer.write(b"the rest")
            writer.write_eof()
            assert await reader.read() == b"the rest"
            assert reader.at_eof()
            await away(writer)

    play(scenario)


def test_unix_sockets(core, play, tmp_path):
    path = str(tmp_path / "socket")

    async def scenario():
        async with await core.start_unix_server(echo, path):
            reader, writer = await core.open_unix_connection(path, limit=100)
            writer.write(b"hello\n")
            assert await reader.readuntil((b"\r\n", b"\n")) == b"hello\n"
            await away(writer)
            with pytest.raises(FileNotFoundError):
                await core.open_unix_connection(path + "2")

    play(scenario)


def test_everything_that_a_server_takes(core, play):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = await core.start_server(echo, sock=listening, backlog=5, limit=3, start_serving=False)
            await server.start_serving()
            reader, writer = await core.open_connection(
                *listening.getsockname(), local_addr=("127.0.0.1", 0), family=socket.AF_INET
            )
            writer.write(b"123\n")
            assert await reader.readline() == b"123\n"
            await away(writer)
            server.close()

    play(scenario)


def test_a_plain_function_serves_as_well(core, play):
    async def scenario():
        def greet(reader, writer):
            writer.write(b"hello")
            writer.close()

        server, address = await served(core, greet)
        async with server:
            reader, writer = await core.open_connection(*address)
            assert await reader.read() == b"hello"
            await away(writer)

    play(scenario)


def fail(reader, writer):
    raise ValueError("mine")


async def fail_late(reader, writer):
    await reader.readline()
    raise ValueError("mine")


@pytest.mark.parametrize("serve", [fail, fail_late])
def test_a_server_that_fails_is_reported_and_its_connection_closed(core, play, serve):
    async def scenario():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        server, address = await served(core, serve)
        async with server:
            reader, writer = await core.open_connection(*address)
            writer.write(b"\n")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(1)
            await until(lambda: reported)
            writer.close()
        (context,) = reported
        assert context["message"] == "Unhandled exception in client_connected_cb"
        assert str(context["exception"]) == "mine"

    play(scenario)


def test_a_server_that_is_cancelled_closes_its_connection(core, play):
    async def scenario():
        tasks = []

        async def wait(reader, writer):
            tasks.append(asyncio.current_task())
            await reader.readline()

        server, address = await served(core, wait)
        async with server:
            reader, writer = await core.open_connection(*address)
            await until(lambda: tasks)
            tasks[0].cancel()
            assert await reader.read() == b""
            await away(writer)

    play(scenario)


def test_timeouts_against_a_slow_peer_lose_nothing(core, play):
    async def scenario():
        reader, writer, peer = await connected(core)
        sent = b"".join(b"line %d\n" % number for number in range(50))
        found = []

        async def send():
            for start in range(0, len(sent), 3):
                peer.send(sent[start : start + 3])
                await asyncio.sleep(0)

        sending = asyncio.ensure_future(send())
        for pause in itertools.cycle((0, 0.0001, 0.001)):
            try:
                found.append(await asyncio.wait_for(reader.readline(), pause))
            except TimeoutError:
                continue
            if len(found) == 50:
                break
        assert b"".join(found) == sent
        await sending
        peer.close()
        await away(writer)

    play(scenario)


def test_a_peer_that_floods_is_held_back(core, play):
    limit = 10_000

    async def scenario():
        reader, writer, peer = await connected(core, limit=limit)
        sent = 0
        for _ in range(30):
            try:
                while True:
                    sent += peer.send(b"x" * 5000)
            except BlockingIOError:
                await asyncio.sleep(0.001)
        one_read = 256 * 1024  # the largest, asyncio's and uvloop's
        assert 2 * limit < reader.pending <= 2 * limit + one_read
        assert sent > reader.pending  # the kernel has the rest
        peer.shutdown(socket.SHUT_WR)
        assert len(await reader.read()) == sent
        peer.close()
        await away(writer)

    play(scenario)


@pytest.mark.parametrize("method", ["readexactly", "read"])
def test_a_read_of_much_more_than_the_limit(core, play, method):
    size = 3_000_000

    async def send(peer):
        data = memoryview(bytes(range(250)) * (size // 250))
        while data:
            try:
                data = data[peer.send(data) :]
            except BlockingIOError:
                await asyncio.sleep(0)
        peer.shutdown(socket.SHUT_WR)

    async def scenario():
        reader, writer, peer = await connected(core, limit=10)
        sending = asyncio.ensure_future(send(peer))
        await asyncio.sleep(0.01)  # by now it is held back
        data = await (reader.read() if method == "read" else reader.readexactly(size))
        assert data == bytes(range(250)) * (size // 250)
        await sending
        assert await reader.read() == b""
        peer.close()
        await away(writer)

    play(scenario)


def test_what_was_not_read_outlives_the_connection(core, play):
    async def scenario():
        for size, limit in ((100, 100), (1000, 10)):  # with room, and held back
            reader, writer, peer = await connected(core, limit=limit)
            peer.send(b"x" * size)
            await until(lambda reader=reader: reader.pending)
            await away(writer)
            assert await reader.readexactly(10) == b"x" * 10
            assert len(await reader.read(size)) == size - 10
            assert await reader.readline() == b""
            peer.close()

    play(scenario)


def test_a_reset_reaches_the_reads(core, play):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            reader, writer = await core.open_connection(*listening.getsockname())
            peer, _ = listening.accept()
            reading = await begun(reader.readexactly(100))
            reset(peer)
            for failing in (reading, reader.read(), reader.readline()):
                with pytest.raises(ConnectionResetError):
                    await failing
            with pytest.raises(ConnectionResetError):
                await writer.drain()
            with pytest.raises(ConnectionResetError):
                await writer.wait_closed()

    play(scenario)


def test_drain_waits_for_a_slow_peer(core, play):
    async def scenario():
        reader, writer, peer = await connected(core)
        writer.write(b"x" * 2_000_000)
        draining = [asyncio.ensure_future(writer.drain()) for _ in range(2)]
        await turn()
        assert not any(task.done() for task in draining)
        draining[0].cancel()
        received = 0
        while received < 2_000_000:
            try:
                received += len(peer.recv(1 << 20))
            except BlockingIOError:
                await asyncio.sleep(0)
        await draining[1]
        await writer.drain()
        peer.close()
        await until(reader.at_eof)
        await away(writer)
        with pytest.raises(ConnectionResetError):
            await writer.drain()

    play(scenario)


def test_a_drain_in_a_loop_sees_that_the_connection_is_lost(core, play):
    async def scenario():
        _, writer, peer = await connected(core)
        peer.close()
        with pytest.raises(ConnectionError):
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
        writer.close()

    play(scenario)


def test_the_reader_is_the_sink(core, drive):
    """On a reactor no byte goes through the protocol."""

    async def scenario(loop):
        reader, writer, peer = await connected(core)
        writer.transport.get_protocol().data_received = None
        peer.send(b"hello\n")
        assert await reader.readline() == b"hello\n"
        peer.close()
        await away(writer)

    drive(scenario)


def test_another_protocol_in_the_middle(core, play):
    async def scenario():
        reader, writer, peer = await connected(core)
        peer.send(b"kept")
        await until(lambda: reader.pending)
        protocol = Recorder()
        writer.transport.set_protocol(protocol)
        peer.send(b"for the other one")
        assert await reader.readexactly(4) == b"kept"
        await until(lambda: protocol.received)
        assert protocol.received == b"for the other one"
        writer.transport.close()
        assert await protocol.lost is None
        assert reader.pending == 0
        peer.close()

    play(scenario)


# --- nobody keeps them ---


async def dropped_client(package):
    """Whether the peer of an open connection that nobody keeps is told of its end, and what is warned of."""
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    opened = await package.open_connection(sock=ours)
    await turn()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del opened, ours
        collect()
        await turn()
        told = await ended(peer)
        peer.close()
        await asyncio.sleep(0.01)
        collect()
    return told, caught


async def dropped_by_server(package):
    """The same, of a connection that a server's coroutine leaves open."""

    async def leave(reader, writer):
        left.append(weakref.ref(writer.transport))

    left = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server = await package.start_server(leave, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            peer.setblocking(False)
            await until(lambda: left)
            await turn()
            told = await ended(peer)
        await asyncio.sleep(0.01)
        server.close()
        collect()
        assert left[0]() is None
    return told, caught


async def ended(peer):
    for _ in range(5):
        await asyncio.sleep(0.001)
        try:
            return peer.recv(1) == b""
        except BlockingIOError:
            pass
    return False


@pytest.mark.parametrize("case", [dropped_client, dropped_by_server])
def test_streams_that_nobody_keeps_end_as_asyncios(core, drive, case):
    async def scenario(loop):
        told, caught = await case(core)
        expected, _ = await case(asyncio)
        assert told is expected
        assert {warning.category for warning in caught} == {ResourceWarning}
        if sys.version_info >= (3, 13):
            assert told

    drive(scenario)


def test_an_end_that_nobody_waits_for_is_not_reported(core, reactor, wires):
    """The exception belongs to wait_closed; a stream that is dropped without it has nothing to report."""

    async def scenario():
        ours, _ = wires.pair()
        _, writer = await core.open_connection(sock=ours)
        closed = writer._protocol._closed
        writer.transport._force_close(ConnectionResetError("gone"))
        await asyncio.sleep(0.01)
        return closed

    closed = reactor.run_until_complete(scenario())
    assert isinstance(closed._exception, ConnectionResetError)
    assert not closed._log_traceback
