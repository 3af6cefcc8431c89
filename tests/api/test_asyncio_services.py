"""What asyncio's programs use of a loop beside connections: threads, names, signals, children, streams."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest
from streams_kit import Recorder, until


def test_executors_and_resolvers_work(drive):
    async def scenario(loop):
        assert await loop.run_in_executor(None, sum, [1, 2, 3]) == 6
        assert await asyncio.to_thread(len, "four") == 4
        [(family, _, _, _, address), *_] = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert (family, address) == (socket.AF_INET, ("127.0.0.1", 80))
        assert (await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST))[0] == "127.0.0.1"
        await loop.shutdown_default_executor()

    drive(scenario)


def test_the_resolver_asked_is_the_socket_module_s(drive, monkeypatch):
    """Programs patch socket.getaddrinfo, and expect the loop to call what they put there."""
    asked = []
    real = socket.getaddrinfo

    def patched(host, *args, **kwargs):
        asked.append(host)
        return real("127.0.0.1", *args, **kwargs)

    async def scenario(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        monkeypatch.setattr(socket, "getaddrinfo", patched)
        _, port = server.sockets[0].getsockname()
        _, protocol = await loop.create_connection(Recorder, "patched.invalid", port)
        assert asked == ["patched.invalid"]
        protocol.transport.abort()
        await protocol.lost
        server.close()
        await until(lambda: not list(loop.connections()))
        await loop.shutdown_default_executor()

    drive(scenario)


def test_signal_handlers_are_called_and_removed(drive):
    async def scenario(loop):
        seen = []
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "second")
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: seen == ["second"])
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert not loop.remove_signal_handler(signal.SIGUSR1)
        with pytest.raises((RuntimeError, ValueError)):
            loop.add_signal_handler(signal.SIGKILL, print)

    drive(scenario)


def test_a_plain_signal_handler_runs_while_the_loop_sleeps(reactor):
    former = signal.signal(signal.SIGALRM, lambda number, frame: reactor.stop())
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        reactor.run()
    finally:
        signal.signal(signal.SIGALRM, former)


def test_children_are_waited_for_and_a_handler_of_their_end_is_called(drive):
    async def scenario(loop):
        ended = []
        loop.add_signal_handler(signal.SIGCHLD, ended.append, 1)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('hello')", stdout=asyncio.subprocess.PIPE
        )
        assert await child.communicate() == (b"hello\n", None)
        assert child.returncode == 0
        await until(lambda: ended)
        loop.remove_signal_handler(signal.SIGCHLD)

    drive(scenario)


def test_sockets_of_the_user_s_can_be_awaited(drive):
    async def scenario(loop):
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            listening.setblocking(False)
            client.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(listening))
            await loop.sock_connect(client, listening.getsockname())
            accepted, _ = await accepting
            with accepted:
                sending = loop.create_task(loop.sock_sendall(client, b"x" * 1_000_000))
                memory, size = bytearray(70_000), 0
                while size < 1_000_000:
                    size += await loop.sock_recv_into(accepted, memory)
                await sending
                await loop.sock_sendall(accepted, b"thanks")
                assert await loop.sock_recv(client, 100) == b"thanks"

    drive(scenario)


def test_asyncio_s_streams_run_on_it(drive, tmp_path):
    async def answer(reader, writer):
        async for line in reader:
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def scenario(loop):
        path = os.fspath(tmp_path / "socket")
        tcp = await asyncio.start_server(answer, "127.0.0.1", 0)
        unix = await asyncio.start_unix_server(answer, path)
        for opening in (
            asyncio.open_connection(*tcp.sockets[0].getsockname()),
            asyncio.open_unix_connection(path),
        ):
            reader, writer = await opening
            writer.write(b"x" * 60_000 + b"\nbye\n")
            assert await reader.readline() == b"X" * 60_000 + b"\n"
            writer.write_eof()
            assert await reader.read() == b"BYE\n"
            writer.close()
            await writer.wait_closed()
        tcp.close()
        unix.close()
        await until(lambda: not list(loop.connections()))

    drive(scenario)
