"""Errors: of a callback, of a factory, of the system. Each costs one connection, and is reported."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket

import pytest
from streams_kit import Recorder, drain, recording_lines, said, step_until, steps

BIG = 300_000


class Faulty(Recorder):
    """Raises in the callback that a subclass names."""

    callback, error = "", None

    def __init_subclass__(cls):
        def fail(self, *args):
            getattr(Recorder, cls.callback)(self, *args)
            raise cls.error

        setattr(cls, cls.callback, fail)


def faulty(callback, error):
    return type("Failing", (Faulty,), {"callback": callback, "error": error})


def provoke(callback, protocol, peer):
    """Have the loop call that callback."""
    if callback == "data_received":
        peer.send(b"x")
    elif callback == "eof_received":
        peer.shutdown(socket.SHUT_WR)
    elif callback in ("pause_writing", "resume_writing"):
        protocol.transport.write(bytes(BIG))
    elif callback == "connection_lost":
        protocol.transport.close()


ENDING = ["connection_made", "data_received", "eof_received"]
KINDS = [ZeroDivisionError, ConnectionResetError, BrokenPipeError, OSError]
KINDS += [BlockingIOError, InterruptedError, asyncio.CancelledError]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("callback", ENDING)
def test_what_a_callback_raises_is_reported_and_ends_the_connection(reactor, wires, callback, kind):
    """An OSError of the protocol's is no error of the connection's: it must not pass in silence."""
    error = kind("mine")
    protocol, peer = wires.attach(faulty(callback, error)) if callback != ENDING[0] else born(wires, error)
    provoke(callback, protocol, peer)
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.lost.result() is error
    assert said(reactor) == [f"Fatal error: protocol.{callback}() call failed."]


def born(wires, error):
    """A connection whose connection_made raises: whoever made it may hear of it too."""
    made = []
    factory = faulty("connection_made", error)
    with contextlib.suppress(type(error)):
        wires.attach(lambda: made.append(factory()) or made[0])
    return made[0], None


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
def test_what_a_flow_control_callback_raises_is_reported_and_the_data_leaves(reactor, wires, callback):
    protocol, peer = wires.attach(faulty(callback, ZeroDivisionError()))
    provoke(callback, protocol, peer)
    assert len(drain(reactor, peer, BIG)) == BIG
    assert said(reactor) == [f"protocol.{callback}() failed"]
    assert protocol.calls == ["made", "pause", "resume"]


def test_what_connection_lost_raises_is_reported_and_the_descriptor_closed(reactor, wires):
    protocol, peer = wires.attach(faulty("connection_lost", ZeroDivisionError()))
    provoke("connection_lost", protocol, peer)
    steps(reactor)
    assert len(said(reactor)) == 1
    assert peer.recv(1) == b""


def test_what_message_received_raises_drops_the_rest_of_the_batch(core, reactor, wires):
    class Failing(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            if message == b"bad":
                raise ZeroDivisionError

    protocol, peer = wires.attach(Failing)
    peer.send(b"good\nbad\nlost\n")
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"good", b"bad", "lost"]
    assert said(reactor) == ["Fatal error: protocol.message_received() call failed."]


def test_an_error_of_one_connection_drops_no_event_of_another(reactor, wires):
    (a, a_peer), (b, b_peer) = (wires.attach(faulty("data_received", ZeroDivisionError())) for _ in "ab")
    (c, c_peer) = wires.attach()
    for peer in (a_peer, b_peer, c_peer):
        peer.send(b"x")
    reactor.run_once(0)
    assert [a.received, b.received, c.received] == [b"x"] * 3
    assert len(said(reactor)) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("callback", ["data_received", "eof_received", "connection_lost"])
def test_what_ends_the_program_leaves_run_and_loses_no_neighbour(reactor, wires, callback, error):
    (failing, failing_peer), (good, good_peer) = wires.attach(faulty(callback, error())), wires.attach()
    provoke(callback, failing, failing_peer)
    good_peer.send(b"x")
    with pytest.raises(error):
        reactor.run()
    step_until(reactor, lambda: good.received == b"x")


@pytest.mark.parametrize("made", [None, object(), ZeroDivisionError()], ids=repr)
def test_a_factory_that_makes_no_protocol_costs_that_connection_alone(reactor, wires, made):
    protocols = []

    def factory():
        protocols.append(Recorder())
        if len(protocols) > 1:
            return protocols[-1]
        if isinstance(made, Exception):
            raise made
        return made

    server = reactor.listen(factory, "127.0.0.1", 0)
    client = wires.client(server)
    step_until(reactor, lambda: protocols)
    steps(reactor)
    assert len(said(reactor)) >= 1
    assert client.recv(1) == b""
    wires.client(server).send(b"x")
    step_until(reactor, lambda: protocols[-1].received == b"x")
    server.close()


def broken_framing(core, how):
    """Framed protocols that cannot be framed, each for a reason of its own."""
    if how == "make_framer is missing":
        return type("Unframed", (core.FramedProtocol,), {})
    if how == "the limit is none":
        return type("Unlimited", (core.LineProtocol,), {"max_length": 0})

    def make_framer(self):
        raise ZeroDivisionError

    return type("Failing", (core.LineProtocol,), {"make_framer": make_framer})


BROKEN = ["make_framer is missing", "the limit is none", "make_framer raises"]


@pytest.mark.parametrize("how", BROKEN)
def test_a_framer_that_cannot_be_made_costs_that_connection_alone(core, reactor, wires, how):
    classes = [recording_lines(core), broken_framing(core, how), recording_lines(core)]
    made = []
    server = reactor.listen(lambda: made.append(classes.pop(0)()) or made[-1], "127.0.0.1", 0)
    clients = [wires.client(server) for _ in range(3)]
    step_until(reactor, lambda: len(made) == 3)
    assert said(reactor) == ["Error on transport creation for incoming connection"]
    assert clients[1].recv(1) == b""
    for client in (clients[0], clients[2]):
        client.send(b"hello\n")
    step_until(reactor, lambda: made[0].calls == made[2].calls == [b"hello"])
    server.close()


@pytest.mark.parametrize("how", BROKEN)
def test_whoever_connects_hears_that_the_framer_cannot_be_made(core, reactor, wires, how):
    ours, _ = wires.pair()
    with pytest.raises((NotImplementedError, ValueError, ZeroDivisionError)):
        reactor.run_until_complete(reactor.create_connection(lambda: broken_framing(core, how)(), sock=ours))
    assert list(reactor.connections()) == []


def test_a_framing_error_reaches_connection_lost_after_the_good_messages(core, reactor, wires):
    protocol, peer = wires.attach(recording_lines(core, max_length=5))
    peer.sendall(b"one\ntoo long\nthree\n")
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"one", "lost"]
    assert isinstance(protocol.lost.result(), core.FramingError)


@contextlib.contextmanager
def out_of_descriptors():
    """Nothing more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def exhausted(reactor, wires, server):
    """Three clients wait at a server that is out of descriptors, and has noticed."""
    waiting = [socket.socket() for _ in range(3)]
    wires.sockets += waiting
    with out_of_descriptors():
        for client in waiting:
            client.connect(server.sockets[0].getsockname())
        steps(reactor, 10)
    return waiting


def test_out_of_descriptors_is_said_once_and_not_retried_at_every_iteration(reactor, wires):
    server = reactor.listen(Recorder, "127.0.0.1", 0)
    neighbour, peer = wires.attach()
    exhausted(reactor, wires, server)
    assert said(reactor) == ["socket.accept() out of system resource"]
    peer.send(b"x")
    reactor.run_once(0)
    assert neighbour.received == b"x"
    server.close()


def test_a_server_closed_while_it_rests_does_not_come_back(reactor, wires):
    server = reactor.listen(Recorder, "127.0.0.1", 0)
    exhausted(reactor, wires, server)
    server.close()
    assert said(reactor) == ["socket.accept() out of system resource"]
    reactor.call_later(1.1, reactor.stop)  # longer than it would have rested
    reactor.run()
    assert list(reactor.connections()) == []


def test_a_client_that_leaves_before_it_is_accepted_disturbs_nobody(reactor, wires):
    server = reactor.listen(Recorder, "127.0.0.1", 0)
    for _ in range(10):
        wires.client(server).close()
    steps(reactor)
    protocols = [connection.get_protocol() for connection in reactor.connections()]
    wires.client(server).send(b"x")
    step_until(reactor, lambda: any(c.get_protocol().received for c in reactor.connections()))
    assert len(protocols) <= 10
    server.close()


def test_connecting_to_nobody_is_the_caller_s_error(drive):
    async def scenario(loop):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = nobody.getsockname()
        with pytest.raises(ConnectionRefusedError) as refused:
            await loop.create_connection(asyncio.Protocol, *address)
        assert refused.value.errno == errno.ECONNREFUSED

    drive(scenario)
