"""Numbers that are closed, reused, shared or odd: nobody gets somebody else's event."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest
from streams_kit import HalfOpen, Recorder, said, step_until, steps, until


def takes_its_number(sock, number):
    """Give an open socket the number, closed a moment ago, of another one."""
    if sock.fileno() != number:
        os.dup2(sock.fileno(), number)
        sock.close()
        return socket.socket(fileno=number)
    return sock


@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_a_number_closed_without_a_word_is_watched_again(reactor, wires, direction):
    seen = []
    add, remove = getattr(reactor, f"add_{direction}"), getattr(reactor, f"remove_{direction}")
    old, _ = wires.pair()
    number = old.fileno()
    add(old, seen.append, "old")
    old.close()
    ours, peer = socket.socketpair()
    wires.sockets += [ours := takes_its_number(ours, number), peer]
    add(ours, seen.append, "new")
    peer.send(b"x")
    reactor.run_once(5)
    assert seen == ["new"]
    assert remove(ours)


def test_a_connection_on_a_reused_number_is_not_disturbed_by_the_former_watcher(reactor, wires):
    """The user closed a watched socket; its number comes back as a connection of the loop's."""
    old, _ = wires.pair()
    number = old.fileno()
    reactor.add_reader(old, pytest.fail, "the old reader was called")
    old.close()
    ours, peer = socket.socketpair()
    wires.sockets.append(peer)
    ours = takes_its_number(ours, number)
    _, protocol = reactor.run_until_complete(reactor.create_connection(Recorder, sock=ours))
    peer.send(b"x")
    step_until(reactor, lambda: protocol.received == b"x")


def test_ten_connections_one_after_another_on_the_same_number(reactor, wires):
    numbers = set()
    for _ in range(10):
        protocol, peer = wires.attach()
        numbers.add(protocol.transport.get_extra_info("socket").fileno())
        peer.send(b"x")
        step_until(reactor, lambda: protocol.received == b"x")  # noqa: B023 - called in this turn
        protocol.transport.close()
        steps(reactor)
        peer.close()
    assert len(numbers) < 10


def test_a_reader_that_reopens_a_neighbours_number_steals_no_event_for_it(reactor, wires):
    """Both are readable in one batch; whoever comes first replaces the other by a silent socket."""
    (a, a_peer), (b, b_peer) = wires.pair(), wires.pair()
    seen = []

    def replace(own, neighbour):
        seen.append("first")
        reactor.remove_reader(own)
        reactor.remove_reader(neighbour)
        number = neighbour.fileno()
        neighbour.close()
        silent, peer = socket.socketpair()
        wires.sockets += [silent := takes_its_number(silent, number), peer]
        reactor.add_reader(silent, seen.append, "not for you")

    reactor.add_reader(a, replace, a, b)
    reactor.add_reader(b, replace, b, a)
    a_peer.send(b"x")
    b_peer.send(b"x")
    steps(reactor)
    assert seen == ["first"]
    reactor.remove_reader(wires.sockets[-2])


def test_a_connection_aborted_by_a_neighbour_in_the_same_batch_hears_nothing_more(reactor, wires):
    both = []

    class Aborting(Recorder):
        def data_received(self, data):
            super().data_received(data)
            next(protocol for protocol in both if protocol is not self).transport.abort()

    (a, a_peer), (b, b_peer) = wires.attach(Aborting), wires.attach(Aborting)
    both += [a, b]
    a_peer.send(b"x")
    b_peer.send(b"x")
    steps(reactor)
    assert sorted([a.calls, b.calls]) == [["made", "data"], ["made", "lost"]]


def test_removing_the_reader_leaves_the_writer(reactor, wires):
    ours, peer = wires.pair()
    seen = []
    reactor.add_reader(ours, seen.append, "read")
    reactor.add_writer(ours, seen.append, "write")
    assert reactor.remove_reader(ours)
    peer.send(b"x")
    steps(reactor, 2)
    assert set(seen) == {"write"}
    assert reactor.remove_writer(ours)
    seen.clear()
    steps(reactor)
    assert seen == []


def test_a_second_reader_replaces_the_first(reactor, wires):
    ours, peer = wires.pair()
    seen = []
    reactor.add_reader(ours, seen.append, "first")
    reactor.add_reader(ours, seen.append, "second")
    peer.send(b"x")
    reactor.run_once(5)
    assert seen == ["second"]
    reactor.remove_reader(ours)


def test_a_hang_up_wakes_the_reader(reactor, wires):
    ours, peer = wires.pair()
    seen = []
    reactor.add_reader(ours, lambda: seen.append(ours.recv(1)))
    peer.close()
    reactor.run_once(5)
    assert seen == [b""]
    reactor.remove_reader(ours)


def test_an_error_wakes_the_writer(reactor):
    """The pipe is full and nobody will read it: only EPOLLERR is reported, and nobody asked for that."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write_end, bytes(65536))
    seen = []
    reactor.add_writer(write_end, seen.append, "woken")
    steps(reactor)
    assert seen == []
    os.close(read_end)
    reactor.run_once(5)
    assert seen == ["woken"]
    reactor.remove_writer(write_end)
    os.close(write_end)


def test_what_was_sent_before_the_end_arrives_before_it(reactor, wires):
    """More than one read's worth waits when the kernel reports data and hang-up at once."""
    protocol, peer = wires.attach(HalfOpen)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer.sendall(bytes(150_000))
    peer.close()
    step_until(reactor, lambda: "eof" in protocol.calls)
    assert len(protocol.received) == 150_000
    assert protocol.calls[-1] == "eof"


@contextlib.contextmanager
def descriptor_zero():
    """A socket with the number 0, which is as good as any, and its peer."""
    before = os.dup(0)
    ours, peer = socket.socketpair()
    os.dup2(ours.fileno(), 0)
    ours.close()
    try:
        yield socket.socket(fileno=0), peer
    finally:
        os.dup2(before, 0)
        os.close(before)
        peer.close()


def test_descriptor_zero_can_be_watched(reactor):
    seen = []
    with descriptor_zero() as (ours, peer):
        reactor.add_reader(0, seen.append, "read")
        reactor.add_writer(0, seen.append, "write")
        peer.send(b"x")
        reactor.run_once(5)
        assert sorted(seen) == ["read", "write"]
        assert reactor.remove_reader(0)
        assert reactor.remove_writer(0)
        ours.detach()


def test_descriptor_zero_can_be_a_connection(reactor):
    with descriptor_zero() as (ours, peer):
        _, protocol = reactor.run_until_complete(reactor.create_connection(Recorder, sock=ours))
        peer.send(b"x")
        step_until(reactor, lambda: protocol.received == b"x")
        assert len(list(reactor.connections())) == 1
        protocol.transport.write(b"y")
        assert peer.recv(10) == b"y"
        protocol.transport.close()
        steps(reactor)
        assert protocol.calls == ["made", "data", "lost"]


@pytest.mark.parametrize("fileobj", [-1, "three", object()])
def test_what_is_no_descriptor_is_refused(reactor, fileobj):
    with pytest.raises(ValueError, match="Invalid file"):
        reactor.add_reader(fileobj, print)


def test_a_connection_s_descriptor_is_not_the_user_s_to_watch(reactor, wires):
    protocol, _ = wires.attach()
    with pytest.raises(RuntimeError, match="used by transport"):
        reactor.add_reader(protocol.transport.get_extra_info("socket"), print)


def test_a_descriptor_closed_behind_its_connection_costs_that_connection_alone(reactor, wires):
    class Behind(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            # What the transport closes at its end must be a socket of ours, not somebody else's number.
            os.close(transport.get_extra_info("socket").fileno())

    protocol = None

    def factory():
        nonlocal protocol
        protocol = Behind()
        return protocol

    server = reactor.listen(factory, "127.0.0.1", 0)
    neighbour, peer = wires.attach()
    wires.client(server)
    step_until(reactor, lambda: protocol is not None and protocol.lost.done())
    assert isinstance(protocol.lost.result(), OSError)
    steps(reactor)
    assert [message[:21] for message in said(reactor)] == ["Exception in callback"]  # closing it failed
    peer.send(b"x")
    step_until(reactor, lambda: neighbour.received == b"x")
    server.close()


def test_an_unreachable_port_is_an_error_of_the_datagram_not_the_end(drive):
    class Datagrams(asyncio.DatagramProtocol):
        def __init__(self):
            self.errors = []

        def error_received(self, exc):
            self.errors.append(type(exc))

    async def scenario(loop):
        with socket.socket(type=socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = nobody.getsockname()
        transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
        transport.sendto(b"x")
        await until(lambda: protocol.errors)
        assert protocol.errors == [ConnectionRefusedError]
        assert not transport.is_closing()
        transport.close()
        await asyncio.sleep(0)

    drive(scenario)


def test_a_cancelled_sock_recv_leaves_the_number_to_a_connection(drive):
    """The watcher goes at once: in the next iteration the number is somebody else's."""

    async def scenario(loop):
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        waiting = loop.create_task(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        _, protocol = await loop.create_connection(Recorder, sock=ours)
        peer.send(b"x")
        await until(lambda: protocol.received == b"x")
        protocol.transport.abort()
        await protocol.lost
        peer.close()

    drive(scenario)
