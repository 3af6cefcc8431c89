"""Reading: the order at birth, pausing, one bounded read a wake-up, buffers of the protocol's own."""

from __future__ import annotations

import asyncio
import socket

import pytest
from streams_kit import HalfOpen, Recorder, recording_lines, said, step_until, steps

from cyreactor import limits

READ = 64 * 1024


class Flooded(Recorder):
    """Counts the sizes of what it gets."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def data_received(self, data):
        super().data_received(data)
        self.sizes.append(len(data))


class Buffered(asyncio.BufferedProtocol):
    """Reads into memory of its own; ``memory`` may be replaced by what get_buffer is to return."""

    def __init__(self, size=4):
        self.memory, self.got, self.calls = bytearray(size), b"", []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return self.memory

    def buffer_updated(self, nbytes):
        self.got += self.memory[:nbytes]

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, exc):
        self.lost.set_result(exc)


def test_whoever_connected_goes_on_before_the_first_bytes_are_delivered(drive):
    async def scenario(loop):
        ours, peer = socket.socketpair()
        peer.send(b"early")
        _, protocol = await loop.create_connection(Recorder, sock=ours)
        assert protocol.calls == ["made"]
        peer.close()
        assert await protocol.lost is None
        assert protocol.calls == ["made", "data", "eof", "lost"]

    drive(scenario)


def test_one_read_a_wake_up_and_none_above_the_limit(reactor, wires):
    protocol, peer = wires.attach(Flooded)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer.sendall(bytes(3 * READ))
    for reads in (1, 2, 3):
        reactor.run_once(0)
        assert len(protocol.sizes) == reads
    assert protocol.sizes[0] <= READ
    assert max(protocol.sizes) <= limits.BULK_SIZE
    step_until(reactor, lambda: len(protocol.received) == 3 * READ)


def test_a_neighbour_of_a_flood_is_heard_in_the_same_iteration(reactor, wires):
    flooded, flood = wires.attach(Flooded)
    quiet, peer = wires.attach()
    flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    flood.sendall(bytes(3 * READ))
    peer.send(b"x")
    reactor.run_once(0)
    assert quiet.received == b"x"
    assert len(flooded.sizes) == 1


@pytest.mark.parametrize("where", ["connection_made", "data_received"])
def test_paused_reading_keeps_what_comes_until_it_is_resumed(reactor, wires, where):
    class Pausing(Recorder):
        pass

    def pause(self, argument):
        getattr(Recorder, where)(self, argument)
        if len(self.calls) < 3:
            self.transport.pause_reading()

    setattr(Pausing, where, pause)
    protocol, peer = wires.attach(Pausing)
    peer.send(b"a")
    steps(reactor)
    peer.send(b"b")
    steps(reactor)
    assert protocol.received == (b"a" if where == "data_received" else b"")
    assert not protocol.transport.is_reading()
    protocol.transport.resume_reading()
    assert protocol.transport.is_reading()
    step_until(reactor, lambda: protocol.received == b"ab")


def test_pausing_and_resuming_twice_is_no_error(reactor, wires):
    protocol, peer = wires.attach()
    for name in ("pause_reading", "pause_reading", "resume_reading", "resume_reading"):
        getattr(protocol.transport, name)()
    peer.send(b"x")
    step_until(reactor, lambda: protocol.received == b"x")


def test_paused_by_a_neighbour_in_the_same_batch_nothing_more_is_delivered(reactor, wires):
    both = []

    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            for protocol in both:
                protocol.transport.pause_reading()

    (a, a_peer), (b, b_peer) = wires.attach(Pausing), wires.attach(Pausing)
    both += [a, b]
    a_peer.send(b"x")
    b_peer.send(b"x")
    steps(reactor)
    assert sorted(protocol.received for protocol in both) == [b"", b"x"]
    for protocol in both:
        protocol.transport.resume_reading()
    step_until(reactor, lambda: all(protocol.received == b"x" for protocol in both))


def test_messages_of_a_batch_wait_while_reading_is_paused(core, reactor, wires):
    class OneAtATime(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.transport.pause_reading()

    protocol, peer = wires.attach(OneAtATime)
    peer.send(b"a\nb\nc\n")
    for expected in ([b"a"], [b"a", b"b"], [b"a", b"b", b"c"]):
        steps(reactor)
        assert protocol.calls == expected
        protocol.transport.resume_reading()


def test_a_resume_inside_the_callback_delivers_in_order(core, reactor, wires):
    class Blinking(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.transport.pause_reading()
            self.transport.resume_reading()

    protocol, peer = wires.attach(Blinking)
    peer.send(b"a\nb\nc\nd")
    steps(reactor)
    assert protocol.calls == [b"a", b"b", b"c"]
    peer.send(b"\n")
    steps(reactor)
    assert protocol.calls == [b"a", b"b", b"c", b"d"]


def test_a_buffered_protocol_smaller_than_the_data_gets_all_of_it(reactor, wires):
    protocol, peer = wires.attach(Buffered)
    peer.send(b"0123456789")
    step_until(reactor, lambda: protocol.got == b"0123456789")
    peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == ["eof"]


UNFIT = {
    "empty": bytearray(),
    "empty and read-only": b"",
    "read-only": b"read only",
    "a read-only view": memoryview(b"read only"),
    "text": "text",
    "nothing": None,
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_buffer_that_cannot_be_filled_ends_the_connection(reactor, wires, what):
    protocol, peer = wires.attach(Buffered)
    protocol.memory = UNFIT[what]
    peer.send(b"x")
    step_until(reactor, lambda: protocol.lost.done())
    assert isinstance(protocol.lost.result(), (RuntimeError, TypeError, ValueError, BufferError))
    assert said(reactor) == ["Fatal error: protocol.get_buffer() call failed."]


def test_the_protocol_s_buffer_may_be_resized_between_reads(reactor, wires):
    """A bytearray cannot change its size while somebody holds a view of it."""
    protocol, peer = wires.attach(Buffered)
    peer.send(b"0123")
    step_until(reactor, lambda: protocol.got == b"0123")
    protocol.memory += bytes(100)
    peer.send(b"456789")
    step_until(reactor, lambda: protocol.got == b"0123456789")


def test_a_buffered_protocol_after_a_plain_one_and_back(reactor, wires):
    first, peer = wires.attach()
    transport = first.transport
    peer.send(b"a")
    step_until(reactor, lambda: first.received == b"a")
    reactor.run_until_complete(switch(transport, Buffered))
    buffered = transport.get_protocol()
    peer.send(b"bcdefg")
    step_until(reactor, lambda: buffered.got == b"bcdefg")
    reactor.run_until_complete(switch(transport, Recorder))
    peer.send(b"h")
    step_until(reactor, lambda: transport.get_protocol().received == b"h")


async def switch(transport, factory):
    transport.set_protocol(factory())


@pytest.mark.parametrize("within", [True, False], ids=["in a callback", "outside"])
def test_a_protocol_that_is_set_once_more_goes_on(core, reactor, wires, within):
    class Again(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            if within:
                self.transport.set_protocol(self)

    protocol, peer = wires.attach(Again)
    peer.send(b"1\n2\n3")
    step_until(reactor, lambda: protocol.calls == [b"1", b"2"])
    protocol.transport.set_protocol(protocol)
    peer.send(b"\n4\n")
    step_until(reactor, lambda: protocol.calls == [b"1", b"2", b"3", b"4"])


def test_the_end_of_the_stream_is_read_once(reactor, wires):
    protocol, peer = wires.attach(HalfOpen)
    peer.shutdown(socket.SHUT_WR)
    steps(reactor, 5)
    assert protocol.calls == ["made", "eof"]
    protocol.transport.pause_reading()
    protocol.transport.resume_reading()
    steps(reactor)
    assert protocol.calls == ["made", "eof"]


def test_the_rest_of_a_large_read_does_not_make_the_next_one_small(core, reactor):
    """Lines that fill read after read, and a part of one is left each time; a batch is a read."""
    line, batches = b"x" * 99 + b"\n", []

    class Batches(core.LineProtocol):
        def messages_received(self, messages):
            batches.append(len(messages))

    server = reactor.listen(Batches, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.setblocking(False)
        sent = client.send(line * 5000)
        step_until(reactor, lambda: sum(batches) == sent // 100)
    server.close()
    assert len(batches) <= sent // (32 * 1024) + 2
