"""Writing: everything leaves, in order, whatever it was handed over in; flow control by the bytes."""

from __future__ import annotations

import array
import errno
import signal
import socket

import pytest
from streams_kit import Recorder, drain, recording_lines, said, step_until, steps

BIG = 300_000


def numbers(count):
    """Bytes in which a piece lost, repeated or moved is noticed."""
    return b"".join(i.to_bytes(4, "big") for i in range(count // 4))


VIEWS = {
    "bytes": lambda data: data,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of integers": lambda data: memoryview(array.array("I", data)),
    "memoryview of two dimensions": lambda data: memoryview(data).cast("B", (len(data) // 100, 100)),
    "every second byte": lambda data: memoryview(bytes(b for byte in data for b in (byte, 0)))[::2],
    "backwards": lambda data: memoryview(data[::-1])[::-1],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("how", ["write", "writelines"])
def test_any_buffer_arrives_as_its_bytes_through_partial_writes(reactor, wires, view, how):
    protocol, peer = wires.attach()
    data = numbers(BIG)
    if how == "write":
        protocol.transport.write(VIEWS[view](data))
    else:
        protocol.transport.writelines([b"", VIEWS[view](data), b""])
    assert protocol.calls == ["made", "pause"]
    assert drain(reactor, peer, BIG) == data


@pytest.mark.parametrize("data", ["text", 7, None, [b"x"]], ids=repr)
def test_what_is_no_buffer_is_refused_and_nothing_is_sent(reactor, wires, data):
    protocol, peer = wires.attach()
    with pytest.raises(TypeError):
        protocol.transport.write(data)
    with pytest.raises(TypeError):
        protocol.transport.writelines([b"not this either", data])
    protocol.transport.write(b"fine")
    steps(reactor)
    assert peer.recv(100) == b"fine"


def test_many_pieces_of_all_sizes_arrive_in_order(reactor, wires):
    """More than one system call can carry, cut anywhere by the kernel."""
    protocol, peer = wires.attach()
    pieces = [bytes([i & 0xFF]) * (i * 7 % 900) for i in range(2000)]
    half = len(pieces) // 2
    for piece in pieces[:half]:
        protocol.transport.write(piece)
    protocol.transport.writelines(iter(pieces[half:]))
    whole = b"".join(pieces)
    assert drain(reactor, peer, len(whole)) == whole


@pytest.mark.parametrize("core", ["pure"], indirect=True)
def test_where_python_copies_what_it_sends_it_offers_a_little_at_a_time(core, reactor, wires, monkeypatch):
    """As on PyPy, and on Windows; the rest would be copied again and again."""
    monkeypatch.setattr(core._backend.connection, "GATHERS", False)
    protocol, peer = wires.attach()
    pieces = [bytes([i]) * size for i, size in enumerate((10, 300_000, 1, 600_000, 500))]
    protocol.transport.writelines(pieces)
    assert len(protocol.transport._copied()) == core.limits.COPIED_AT_ONCE
    whole = b"".join(pieces)
    assert drain(reactor, peer, len(whole)) == whole


def test_a_mutable_piece_of_writelines_may_change_afterwards(reactor, wires):
    protocol, peer = wires.attach()
    data = bytearray(b"a" * BIG)
    protocol.transport.writelines([data, memoryview(data)])
    data[:] = b"b" * BIG
    assert drain(reactor, peer, 2 * BIG) == b"a" * 2 * BIG


@pytest.mark.parametrize("size", [100, BIG])
def test_a_mutable_buffer_may_change_after_its_write(reactor, wires, size):
    protocol, peer = wires.attach()
    data = bytearray(b"a" * size)
    for letter in b"bcd":
        protocol.transport.write(data)
        data[:] = bytes([letter]) * size
    data.clear()  # nobody holds on to it
    assert drain(reactor, peer, 3 * size) == b"a" * size + b"b" * size + b"c" * size


def test_a_large_mutable_buffer_meets_the_errors_of_a_small_one(reactor, wires):
    protocol, peer = wires.attach()
    peer.close()
    protocol.transport.write(bytearray(BIG))
    steps(reactor)
    assert type(protocol.lost.result()) in (BrokenPipeError, ConnectionResetError)
    protocol.transport.write(bytearray(BIG))  # in silence
    protocol, peer = wires.attach()
    protocol.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        protocol.transport.write(bytearray(BIG))


def test_nothing_is_written_where_nothing_is_given(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.write(b"")
    protocol.transport.writelines([])
    protocol.transport.writelines([b"", memoryview(b""), bytearray()])
    assert protocol.transport.get_write_buffer_size() == 0
    protocol.transport.close()
    assert drain(reactor, peer, 1) == b""


def test_writelines_that_fills_the_kernel_goes_on_by_itself(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.writelines([bytes(1000)] * 100)
    assert protocol.calls == ["made", "pause"]
    assert len(drain(reactor, peer, 100_000)) == 100_000
    assert protocol.calls == ["made", "pause", "resume"]


def test_the_low_mark_is_a_quarter_of_the_high_one_in_bytes(wires):
    transport = wires.attach()[0].transport
    assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits(low=100)
    assert transport.get_write_buffer_limits() == (100, 400)
    transport.set_write_buffer_limits(high=5, low=5)
    assert transport.get_write_buffer_limits() == (5, 5)
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    with pytest.raises(ValueError, match="must be >="):
        transport.set_write_buffer_limits(high=1, low=2)


def test_new_limits_pause_and_resume_at_once(wires):
    protocol, _ = wires.attach()
    protocol.transport.set_write_buffer_limits(high=1 << 20)
    protocol.transport.write(bytes(BIG))
    assert protocol.calls == ["made"]
    protocol.transport.set_write_buffer_limits(high=1000)
    assert protocol.calls == ["made", "pause"]
    protocol.transport.set_write_buffer_limits(high=1 << 22)
    assert protocol.calls == ["made", "pause", "resume"]


def test_a_limit_of_zero_pauses_on_the_first_byte_that_waits(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.set_write_buffer_limits(high=0)
    protocol.transport.write(b"leaves at once")
    assert protocol.calls == ["made"]
    protocol.transport.write(bytes(BIG))
    assert protocol.calls == ["made", "pause"]
    assert len(drain(reactor, peer, BIG + 14)) == BIG + 14
    assert protocol.calls == ["made", "pause", "resume"]


def test_it_resumes_at_the_low_mark_not_before(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.write(bytes(BIG))
    peer.setblocking(False)
    while "resume" not in protocol.calls:
        assert protocol.transport.get_write_buffer_size() > 16 * 1024
        drain(reactor, peer, 1000)
        reactor.run_once(0)
    assert protocol.transport.get_write_buffer_size() <= 16 * 1024


def test_resume_writing_may_fill_the_queue_again(reactor, wires):
    class Endless(Recorder):
        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("resume") < 4:
                self.transport.write(b"x" * BIG)

    protocol, peer = wires.attach(Endless)
    protocol.transport.write(b"x" * BIG)
    assert drain(reactor, peer, 4 * BIG) == b"x" * 4 * BIG
    assert protocol.calls == ["made", *["pause", "resume"] * 4]


def test_resume_writing_may_write_to_others_and_they_to_it(reactor, wires):
    both = []

    class Crossed(Recorder):
        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("resume") == 1:
                for protocol in both:
                    protocol.transport.write(b"y" * BIG)

    received = {}
    for name in "ab":
        protocol, peer = wires.attach(Crossed)
        both.append(protocol)
        collect(reactor, peer, received, name)
    for protocol in both:
        protocol.transport.write(b"x" * BIG)
    step_until(reactor, lambda: all(len(received[name]) >= 3 * BIG for name in "ab"))
    assert received["a"] == received["b"] == b"x" * BIG + b"y" * 2 * BIG


def collect(reactor, peer, received, name):
    """Have the reactor read everything that a peer gets."""
    received[name] = b""
    peer.setblocking(False)

    def read():
        received[name] += peer.recv(1 << 20)

    reactor.add_reader(peer, read)


def test_the_end_of_writing_follows_what_is_queued(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.write(b"x" * BIG)
    protocol.transport.write_eof()
    assert protocol.transport.can_write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        protocol.transport.writelines([b"more"])
    assert drain(reactor, peer, BIG + 1) == b"x" * BIG
    assert peer.recv(1) == b""
    peer.send(b"still read")
    step_until(reactor, lambda: protocol.received == b"still read")


def test_a_peer_that_left_is_an_error_of_the_write(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.pause_reading()
    peer.close()
    protocol.transport.write(b"x")
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.lost.result().errno in (errno.EPIPE, errno.ECONNRESET)
    protocol.transport.write(b"ignored")
    assert protocol.calls == ["made", "lost"]


def test_messages_framed_while_the_kernel_is_full_arrive_whole(core, reactor, wires):
    protocol, peer = wires.attach(recording_lines(core))
    lines = [b"%05d" % i * (i % 50) for i in range(2000)]
    for line in lines:
        protocol.send_message(line)
    whole = b"".join(line + b"\n" for line in lines)
    assert drain(reactor, peer, len(whole)) == whole


def test_signals_in_the_middle_of_everything_lose_no_byte(reactor, wires):
    """A timer's signal every tenth of a millisecond: any system call may end in EINTR."""
    protocol, peer = wires.attach()
    data = numbers(4 * BIG)
    former = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        protocol.transport.write(data)
        assert drain(reactor, peer, len(data)) == data
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        peer.setblocking(True)
        peer.sendall(data)
        step_until(reactor, lambda: len(protocol.received) == len(data))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert protocol.received == data
    assert said(reactor) == []
