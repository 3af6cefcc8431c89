"""Servers: accepting, closing, waiting, and the socket files of Unix servers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys

import pytest
from streams_kit import Recorder, step_until, steps, until

ACCEPTS = 64


def recording(made):
    """A factory that keeps what it makes."""
    return lambda: made.append(Recorder()) or made[-1]


def test_a_closed_server_has_no_sockets_and_accepts_nobody(drive):
    async def scenario(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        assert server.is_serving()
        server.close()
        server.close()
        assert server.sockets == ()
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, *address)

    drive(scenario)


def test_connections_outlive_their_server(reactor, wires):
    made = []
    server = reactor.listen(recording(made), "127.0.0.1", 0)
    client = wires.client(server)
    step_until(reactor, lambda: made)
    server.close()
    client.send(b"still here")
    step_until(reactor, lambda: made[0].received == b"still here")


def test_closing_in_the_factory_or_in_connection_made_is_fine(reactor, wires):
    made = []

    class Only(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            server.close()

    server = reactor.listen(lambda: made.append(Only()) or made[-1], "127.0.0.1", 0)
    first, second = wires.client(server), wires.client(server)
    step_until(reactor, lambda: made)
    steps(reactor)
    assert len(made) == 1
    first.send(b"x")
    step_until(reactor, lambda: made[0].received == b"x")
    with pytest.raises(ConnectionError):
        second.recv(1)


def test_wait_closed_waits_for_the_last_connection(drive):
    """Before Python 3.12 only where the wait began before the server was closed."""

    async def scenario(loop):
        made = []
        server = await loop.create_server(recording(made), "127.0.0.1", 0)
        _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        await until(lambda: made)
        waiting = loop.create_task(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        protocol.transport.close()
        await waiting
        assert made[0].calls[-1] == "lost"

    drive(scenario)


def test_serve_forever_ends_by_cancellation_and_closes_the_server(drive):
    async def scenario(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        serving = loop.create_task(server.serve_forever())
        await until(server.is_serving)
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert server.sockets == ()

    drive(scenario)


def test_start_serving_may_come_later_and_twice(drive):
    async def scenario(loop):
        made = []
        server = await loop.create_server(recording(made), "127.0.0.1", 0, start_serving=False)
        await server.start_serving()
        await server.start_serving()
        _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        await until(lambda: made)
        protocol.transport.close()
        await protocol.lost
        server.close()
        await made[0].lost

    drive(scenario)


def test_async_with_closes_the_server(drive):
    async def scenario(loop):
        async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
            assert server.is_serving()
        assert server.sockets == ()

    drive(scenario)


if sys.version_info >= (3, 13):

    @pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
    def test_a_server_ends_its_clients(drive, how):
        async def scenario(loop):
            made = []
            server = await loop.create_server(recording(made), "127.0.0.1", 0)
            _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
            await until(lambda: made)
            server.close()
            getattr(server, how)()
            await server.wait_closed()
            await protocol.lost

        drive(scenario)


def test_a_burst_of_clients_does_not_starve_those_who_are_there(reactor, wires):
    made = []
    server = reactor.listen(recording(made), "127.0.0.1", 0, backlog=1024)
    first = wires.client(server)
    step_until(reactor, lambda: made)
    for _ in range(2 * ACCEPTS):
        wires.client(server)
    first.send(b"me too")
    reactor.run_once(0)
    assert made[0].received == b"me too"
    assert 1 < len(made) <= 1 + ACCEPTS
    step_until(reactor, lambda: len(made) == 1 + 2 * ACCEPTS)
    server.close()


def test_a_server_on_several_addresses_has_one_port(reactor, wires):
    made = []
    server = reactor.listen(recording(made), "localhost", 0)
    assert len({sock.getsockname()[1] for sock in server.sockets}) == 1
    for sock in server.sockets:
        client = socket.socket(sock.family)
        wires.sockets.append(client)
        client.connect(sock.getsockname())
    step_until(reactor, lambda: len(made) == len(server.sockets))
    server.close()


def test_an_address_in_use_is_an_error_that_names_it(reactor):
    server = reactor.listen(Recorder, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        reactor.listen(Recorder, "127.0.0.1", port)
    server.close()


def test_a_port_is_free_again_after_the_close(reactor, wires):
    """Connections of the former server wait in the kernel; that must not keep a new one out."""
    made = []
    server = reactor.listen(recording(made), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wires.client(server)
    step_until(reactor, lambda: made)
    made[0].transport.close()
    server.close()
    steps(reactor)
    reactor.listen(Recorder, "127.0.0.1", port).close()


def unix_client(wires, path):
    client = socket.socket(socket.AF_UNIX)
    wires.sockets.append(client)
    client.settimeout(5)
    client.connect(os.fspath(path))
    return client


@pytest.fixture
def path(tmp_path):
    return tmp_path / "socket"


def test_a_unix_server_serves_and_removes_its_file(reactor, wires, path):
    made = []
    server = reactor.listen(recording(made), path=path)
    client = unix_client(wires, path)
    step_until(reactor, lambda: made)
    assert made[0].transport.get_extra_info("sockname") == os.fspath(path)
    assert not made[0].transport.get_extra_info("peername")
    client.send(b"x")
    step_until(reactor, lambda: made[0].received == b"x")
    server.close()
    assert not path.exists()


def test_a_unix_server_leaves_the_file_of_another_alone(reactor, wires, path):
    """A second server took the name over: the first one's end must not unlink it."""
    made = []
    first = reactor.listen(Recorder, path=path)
    second = reactor.listen(recording(made), path=path)
    first.close()
    assert path.exists()
    unix_client(wires, path)
    step_until(reactor, lambda: made)
    second.close()
    assert not path.exists()


def test_a_unix_server_whose_file_is_gone_closes_in_peace(reactor, path):
    server = reactor.listen(Recorder, path=path)
    path.unlink()
    path.write_text("somebody's notes")
    server.close()
    assert path.read_text() == "somebody's notes"


def test_a_unix_server_replaces_what_a_dead_one_left_but_no_other_file(reactor, path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    reactor.listen(Recorder, path=path).close()
    path.write_text("somebody's notes")
    with pytest.raises(OSError, match="cannot listen on"):
        reactor.listen(Recorder, path=path)
    assert path.read_text() == "somebody's notes"


if sys.platform == "linux":

    @pytest.mark.parametrize("name", ["\0cyreactor-test-abstract"])
    def test_abstract_names_are_served_and_need_no_file(reactor, wires, name):
        made = []
        server = reactor.listen(recording(made), path=name)
        unix_client(wires, name)
        step_until(reactor, lambda: made)
        server.close()


def test_asyncio_s_unix_calls_work(drive, path):
    async def scenario(loop):
        made = []
        server = await loop.create_unix_server(recording(made), path)
        _, protocol = await loop.create_unix_connection(Recorder, os.fspath(path))
        protocol.transport.write(b"x")
        await until(lambda: made and made[0].received == b"x")
        protocol.transport.close()
        await protocol.lost
        server.close()
        await made[0].lost

    drive(scenario)


def test_a_bound_socket_of_the_user_s_is_served(reactor, wires):
    made = []
    sock = socket.create_server(("127.0.0.1", 0))
    server = reactor.listen(recording(made), sock=sock)
    wires.client(server).send(b"x")
    step_until(reactor, lambda: made and made[0].received == b"x")
    server.close()
    assert sock.fileno() == -1


def test_an_accepted_socket_of_the_user_s_becomes_a_connection(drive):
    async def scenario(loop):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
        _, protocol = await loop.connect_accepted_socket(Recorder, accepted)
        client.send(b"x")
        await until(lambda: protocol.received == b"x")
        client.close()
        await protocol.lost

    drive(scenario)


@pytest.mark.parametrize("asked", [True, False], ids=["asked before", "asked after"])
@pytest.mark.parametrize("own", ["127.0.0.1", "127.0.0.2 of all", "::1", "unix", "transparent"])
def test_a_connection_knows_its_own_address_before_its_end_and_after(reactor, tmp_path, own, asked):
    made = []
    host, _, wildcard = own.partition(" ")
    if host == "unix":
        sock = socket.socket(socket.AF_UNIX)
        target = str(tmp_path / "socket")
        sock.bind(target)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if host == "transparent":
            host = "127.0.0.1"
            try:
                sock.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)
            except OSError:  # root's, and not every emulator's; the address has to be right all the same
                pass
        sock.bind(("0.0.0.0" if wildcard else host, 0))
        target = (host, sock.getsockname()[1])
    server = reactor.run_until_complete(reactor.create_server(recording(made), sock=sock))
    with socket.socket(sock.family) as client:
        client.connect(target)
        step_until(reactor, lambda: made)
        expected = client.getpeername()
        if asked:
            assert made[0].transport.get_extra_info("sockname") == expected
    step_until(reactor, lambda: made[0].calls[-1] == "lost")
    steps(reactor)
    assert made[0].transport.get_extra_info("sockname") == expected
    server.close()


class WithoutOptions(socket.socket):
    """Of a system that runs Linux's programs and does not know all of its options."""

    def getsockopt(self, *args):
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


def test_a_listener_does_without_options_that_the_system_does_not_know(reactor):
    made = []
    sock = WithoutOptions(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    server = reactor.run_until_complete(reactor.create_server(recording(made), sock=sock))
    with socket.create_connection(sock.getsockname()) as client:
        step_until(reactor, lambda: made)
        assert made[0].transport.get_extra_info("sockname") == client.getpeername()
        assert made[0].transport.get_extra_info("peername") == client.getsockname()
    step_until(reactor, lambda: made[0].calls[-1] == "lost")
    server.close()
