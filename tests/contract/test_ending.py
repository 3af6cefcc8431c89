"""Ending: once, last, from nobody's callback; close flushes, abort does not; nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import weakref
from asyncio import trsock

import pytest
from streams_kit import (
    COUNTS_REFERENCES,
    Recorder,
    collect,
    drain,
    narrow_pair,
    recording_lines,
    reset,
    step_until,
    steps,
)

BIG = 300_000


class Nested(Recorder):
    """Notes whether connection_lost comes while another callback is running."""

    inside = False

    def ended_by(self, how):
        self.inside = True
        getattr(self.transport, how)()
        self.inside = False

    def connection_lost(self, exc):
        assert not self.inside
        super().connection_lost(exc)


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("callback", ["connection_made", "data_received", "eof_received", "pause_writing"])
def test_the_last_callback_comes_once_and_after_the_one_that_ends(reactor, wires, callback, how):
    class Ending(Nested):
        pass

    def end(self, *args):
        getattr(Recorder, callback)(self, *args)
        self.ended_by(how)
        self.ended_by("close")
        self.ended_by("abort")

    setattr(Ending, callback, end)
    protocol, peer = wires.attach(Ending)
    if callback == "pause_writing":
        protocol.transport.write(bytes(BIG))
    elif callback != "connection_made":
        peer.send(b"x")
        peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: protocol.lost.done())
    steps(reactor)
    assert protocol.calls.count("lost") == 1
    assert protocol.calls[-1] == "lost"


def test_closing_twice_loses_once(reactor, wires):
    protocol, _ = wires.attach()
    for how in ("close", "close", "abort", "close"):
        getattr(protocol.transport, how)()
    assert protocol.transport.is_closing()
    assert protocol.calls == ["made"]
    steps(reactor)
    for how in ("close", "abort"):
        getattr(protocol.transport, how)()
    steps(reactor)
    assert protocol.calls == ["made", "lost"]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_the_rest_of_a_batch_is_dropped(core, reactor, wires, how):
    class Ending(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            if message == b"end":
                getattr(self.transport, how)()

    protocol, peer = wires.attach(Ending)
    peer.sendall(b"a\nend\nb\nc\n")
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"a", b"end", "lost"]


def test_nothing_is_read_after_close_while_the_queue_leaves(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.write(b"x" * BIG)
    protocol.transport.close()
    peer.send(b"too late")
    assert drain(reactor, peer, BIG) == b"x" * BIG
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.received == b""
    assert protocol.calls == ["made", "pause", "resume", "lost"]


def test_what_was_written_before_an_abort_in_a_callback_is_lost(reactor, wires):
    class Aborting(Recorder):
        def data_received(self, data):
            self.transport.write(b"never")
            self.transport.abort()

    protocol, peer = wires.attach(Aborting)
    peer.send(b"x")
    step_until(reactor, lambda: protocol.lost.done())
    assert drain(reactor, peer, 10) == b""


def test_what_was_written_before_a_close_in_a_callback_leaves(reactor, wires):
    class Closing(Recorder):
        def data_received(self, data):
            self.transport.write(b"good")
            self.transport.write(b"bye")
            self.transport.close()

    _, peer = wires.attach(Closing)
    peer.send(b"x")
    assert drain(reactor, peer, 10) == b"goodbye"


def test_a_reset_in_the_middle_of_writing_is_reported_once(reactor, wires):
    made = []
    server = reactor.listen(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    client = wires.client(server)
    step_until(reactor, lambda: made and made[0].calls)
    made[0].transport.write(bytes(50_000_000))
    steps(reactor)
    reset(client)
    step_until(reactor, lambda: made[0].lost.done())
    assert isinstance(made[0].lost.result(), ConnectionResetError)
    assert made[0].calls == ["made", "pause", "lost"]
    server.close()


def test_writing_to_a_lost_connection_is_ignored_and_at_length_warned_about(reactor, wires, caplog):
    protocol, _ = wires.attach()
    protocol.transport.abort()
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(4):
            protocol.transport.write(b"x")
        assert caplog.messages == []
        protocol.transport.write(b"x")
        protocol.transport.writelines([b"x"])
    assert caplog.messages == ["socket.send() raised exception."] * 2
    steps(reactor)
    protocol.transport.write(b"x")


def test_a_lost_connection_answers_without_an_error(reactor, wires):
    protocol, _ = wires.attach()
    transport = protocol.transport
    transport.abort()
    steps(reactor)
    transport.pause_reading()
    transport.resume_reading()
    transport.write_eof()
    transport.set_write_buffer_limits(high=10)
    assert transport.get_write_buffer_size() == 0
    assert not transport.is_reading()
    assert transport.get_protocol() is None
    assert "closed" in repr(transport)


def test_protocol_and_transport_are_freed_without_the_garbage_collector(reactor, wires):
    """Where there are no other means, with it."""
    collect()
    gc.disable()
    try:
        protocol, _ = wires.attach()
        protocol.transport.close()
        steps(reactor)
        transport = wires.transports.pop()
        watched = [weakref.ref(protocol), weakref.ref(transport)]
        protocol.transport = None
        del protocol, transport
        if not COUNTS_REFERENCES:
            collect()
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


def forget(core):
    """A closed loop with an open connection in it, and nobody who knows either, met by the collector."""
    reactor = core.Reactor()
    ours, peer = narrow_pair()
    transport, protocol = reactor.run_until_complete(reactor.create_connection(Recorder, sock=ours))
    reactor.close()
    left = weakref.ref(protocol), transport.get_extra_info("socket").fileno(), peer
    del reactor, ours, transport, protocol
    collect()
    return left


def test_the_garbage_collector_closes_a_forgotten_connection_and_warns(core):
    with pytest.warns(ResourceWarning, match="unclosed") as warned:
        protocol, fd, peer = forget(core)
    assert any("unclosed transport" in str(warning.message) for warning in warned)
    assert protocol() is None
    with pytest.raises(OSError):
        os.fstat(fd)
    assert peer.recv(1) == b""
    peer.close()


def test_a_resurrected_transport_disturbs_nobody(core, reactor, wires):
    """Somebody keeps what was warned about; its number belongs to another by the time it is closed."""
    kept = []
    other = core.Reactor()
    ours, peer = narrow_pair()
    transport, _ = other.run_until_complete(other.create_connection(asyncio.Protocol, sock=ours))
    fd = transport.get_extra_info("socket").fileno()
    with pytest.warns(ResourceWarning):
        transport.__del__()
    kept.append(transport)
    protocol, fresh = wires.attach()
    kept[0].close()
    kept[0].abort()
    assert protocol.transport.get_extra_info("socket").fileno() == fd
    fresh.send(b"x")
    step_until(reactor, lambda: protocol.received == b"x")
    other.run_until_complete(asyncio.sleep(0))
    other.close()
    peer.close()


def test_extra_information_outlives_the_connection(reactor, wires):
    made = []
    server = reactor.listen(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    client = wires.client(server)
    step_until(reactor, lambda: made and made[0].calls)
    transport = made[0].transport
    assert isinstance(transport.get_extra_info("socket"), trsock.TransportSocket)
    assert transport.get_extra_info("sockname") == client.getpeername()
    assert transport.get_extra_info("nonsense", 7) == 7
    transport.abort()
    steps(reactor)
    assert transport.get_extra_info("peername") == client.getsockname()
    assert transport.get_extra_info("sockname") == client.getpeername()
    server.close()


def test_the_peer_s_name_is_known_after_the_peer_left(reactor, wires):
    made = []
    server = reactor.listen(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    client = wires.client(server)
    name = client.getsockname()
    reset(client)
    step_until(reactor, lambda: made and made[0].lost.done())
    assert made[0].transport.get_extra_info("peername") == name
    server.close()


@pytest.mark.parametrize("iterations", range(6))
def test_a_cancelled_connect_leaves_no_descriptor_at_any_moment(drive, iterations):
    """Between the connected socket and its transport is the place where others closed it twice."""

    async def scenario(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        connecting = loop.create_task(
            loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        )
        for _ in range(iterations):
            await asyncio.sleep(0)
        if not connecting.cancel():
            connecting.result()[0].abort()
        await asyncio.wait([connecting])
        server.close()
        for connection in loop.connections():
            connection.abort()
        for _ in range(3):
            await asyncio.sleep(0)
        assert list(loop.connections()) == []

    drive(scenario)
