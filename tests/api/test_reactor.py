"""The reactor as a program meets it: without a coroutine in sight, and as an asyncio loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest
from streams_kit import Recorder, step_until, steps


def test_listen_connect_run_without_a_coroutine(core, reactor):
    lost = []

    class Server(core.LineProtocol):
        def message_received(self, message):
            self.send_message(message.upper())

    class Client(core.LineProtocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.send_message(b"hello")

        def message_received(self, message):
            assert message == b"HELLO"
            self.transport.close()

        def connection_lost(self, exc):
            lost.append(exc)
            reactor.stop()

    server = reactor.listen(Server, "127.0.0.1", 0)
    connecting = reactor.connect(Client, *server.sockets[0].getsockname())
    reactor.run()
    assert lost == [None]
    transport, protocol = connecting.result()
    assert isinstance(protocol, Client)
    assert transport.is_closing()
    server.close()


def test_connect_to_nobody_is_told_by_the_task(reactor):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
    task = reactor.connect(Recorder, *address)
    step_until(reactor, task.done)
    assert isinstance(task.exception(), ConnectionRefusedError)


def test_listen_and_connect_on_a_unix_socket(reactor, tmp_path):
    server = reactor.listen(Recorder, path=tmp_path / "socket")
    task = reactor.connect(Recorder, path=tmp_path / "socket")
    step_until(reactor, task.done)
    steps(reactor)
    assert len(list(reactor.connections())) == 2
    server.close()


@pytest.mark.parametrize("given", [{}, {"port": 0, "path": "x"}, {"path": "x", "sock": "y"}], ids=str)
def test_listening_takes_exactly_one_address(reactor, given):
    with pytest.raises(ValueError, match="exactly one"):
        reactor.listen(Recorder, **given)


@pytest.mark.parametrize(("given", "error"), [
    ({"port": 65536}, OverflowError), ({"port": -1}, OverflowError), ({"path": ""}, ValueError),
    ({"host": "no.such.host.invalid", "port": 0}, OSError), ({"path": "x" * 200}, OSError),
    ({"port": 0, "no_such_option": 1}, TypeError), ({"host": "192.0.2.1", "port": 0}, OSError),
])  # fmt: skip
def test_an_address_that_cannot_be_listened_on_is_refused(reactor, given, error):
    with pytest.raises(error):
        reactor.listen(Recorder, **given)


def test_connections_are_those_that_are_open(reactor, wires):
    assert list(reactor.connections()) == []
    (a, _), (b, _) = wires.attach(), wires.attach()
    assert {*reactor.connections()} == {a.transport, b.transport}
    a.transport.close()
    steps(reactor)
    assert list(reactor.connections()) == [b.transport]


def test_a_connection_that_waits_for_nothing_is_still_one(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.pause_reading()
    peer.close()
    steps(reactor)
    assert list(reactor.connections()) == [protocol.transport]


def test_a_with_block_closes_the_reactor(core):
    with core.Reactor() as reactor:
        assert isinstance(reactor, asyncio.AbstractEventLoop)
        assert not reactor.is_closed()
    assert reactor.is_closed()
    reactor.close()
    for use in (reactor.run, lambda: reactor.run_once(0), lambda: reactor.call_soon(print)):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_the_reactor_cannot_be_run_closed_or_stepped_from_a_callback(reactor, wires):
    """Inside a message of a batch: neither this batch nor the neighbour's may be torn."""
    refused = []

    class Nesting(Recorder):
        def data_received(self, data):
            super().data_received(data)
            for use in (reactor.run, lambda: reactor.run_once(0), reactor.close):
                with pytest.raises(RuntimeError, match="running"):
                    use()
                refused.append(use)

    (a, a_peer), (b, b_peer) = wires.attach(Nesting), wires.attach(Nesting)
    a_peer.send(b"x")
    b_peer.send(b"y")
    reactor.run_once(0)
    assert (a.received, b.received) == (b"x", b"y")
    assert len(refused) == 6
    a_peer.send(b"z")
    reactor.call_soon(reactor.stop)
    reactor.run()
    step_until(reactor, lambda: a.received == b"xz")


def test_run_once_waits_for_an_event_or_the_time_given(reactor, wires):
    protocol, peer = wires.attach()
    reactor.run_once(0.001)
    peer.send(b"x")
    reactor.run_once()
    assert protocol.received == b"x"


def test_run_returns_the_result_and_raises_the_error(core):
    async def answer():
        assert isinstance(asyncio.get_running_loop(), core.Reactor)
        await asyncio.sleep(0)
        return 42

    async def fail():
        raise ZeroDivisionError

    assert core.run(answer()) == 42
    with pytest.raises(ZeroDivisionError):
        core.run(fail())
    with asyncio.Runner(loop_factory=core.new_event_loop) as runner:
        assert runner.run(answer()) == 42
        assert runner.run(answer()) == 42


def test_run_may_ask_for_debug_mode(core):
    async def debugging():
        return asyncio.get_running_loop().get_debug()

    assert core.run(debugging(), debug=True)
    assert not core.run(debugging(), debug=False)


def test_an_interrupt_cancels_the_main_task(core):
    async def sleep():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(20)

    with pytest.raises(KeyboardInterrupt):
        core.run(sleep())


def test_programs_may_hang_their_own_methods_on_loop_and_transport(reactor, wires):
    protocol, peer = wires.attach()
    written = []
    protocol.transport.write = written.append
    protocol.transport.write(b"x")
    assert written == [b"x"]
    reactor.create_server = "mine"
    assert reactor.create_server == "mine"
    assert isinstance(protocol.transport, asyncio.Transport)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)
