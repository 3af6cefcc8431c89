"""The end of the stream, and protocols that follow one another: no byte of before gets lost."""

from __future__ import annotations

import asyncio
import socket

import pytest
from streams_kit import HalfOpen, Recorder, drain, recording_lines, step_until, steps


def one_at_a_time(core):
    """Works on each message for an iteration or two, with reading paused meanwhile."""

    class OneAtATime(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.transport.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self.transport.resume_reading)

    return OneAtATime


@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_messages_held_back_come_before_the_end(core, reactor, wires, end):
    protocol, peer = wires.attach(one_at_a_time(core))
    peer.sendall(b"a\nb\nc\nd\ne\n")
    if end == "close":
        peer.close()
    else:
        peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"a", b"b", b"c", b"d", b"e", "eof", "lost"]


def test_the_end_alone_is_told_after_the_resume(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.pause_reading()
    peer.close()
    steps(reactor)
    assert protocol.calls == ["made"]
    protocol.transport.resume_reading()
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == ["made", "eof", "lost"]


def test_paused_in_the_last_message_the_end_waits_for_the_resume(core, reactor, wires):
    class Pausing(recording_lines(core)):
        def message_received(self, message):
            super().message_received(message)
            self.transport.pause_reading()

    protocol, peer = wires.attach(Pausing)
    peer.sendall(b"a\n")
    steps(reactor)
    peer.close()
    steps(reactor)
    assert protocol.calls == [b"a"]
    protocol.transport.resume_reading()
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"a", "eof", "lost"]


def test_a_message_without_its_end_is_not_delivered(core, reactor, wires):
    protocol, peer = wires.attach(recording_lines(core))
    peer.sendall(b"whole\nhalf")
    peer.close()
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == [b"whole", "eof", "lost"]


def test_answers_to_a_peer_that_ended_its_side_all_leave(core, reactor, wires):
    class Answering(recording_lines(core)):
        def message_received(self, message):
            self.transport.write(message * 50_000)

    protocol, peer = wires.attach(Answering)
    peer.sendall(b"a\nb\n")
    peer.shutdown(socket.SHUT_WR)
    assert drain(reactor, peer, 200_000) == b"a" * 50_000 + b"b" * 50_000
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.lost.result() is None


def test_a_half_closed_connection_can_be_written_to_and_closed(reactor, wires):
    protocol, peer = wires.attach(HalfOpen)
    peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: "eof" in protocol.calls)
    protocol.transport.write(b"x" * 100_000)
    protocol.transport.close()
    assert drain(reactor, peer, 200_000) == b"x" * 100_000
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.calls == ["made", "eof", "pause", "resume", "lost"]


def switching(core, callback):
    """A class that gives way to a Recorder in one of its callbacks, with bytes undelivered."""

    class Switching(recording_lines(core)):
        def switch(self):
            self.successor = Recorder()
            self.transport.set_protocol(self.successor)

        def connection_made(self, transport):
            super().connection_made(transport)
            if callback == "connection_made":
                self.switch()

        def message_received(self, message):
            super().message_received(message)
            if callback == "message_received":
                self.switch()
            elif callback in ("pause_writing", "resume_writing"):
                self.transport.write(bytes(200_000))

        def pause_writing(self):
            if callback == "pause_writing":
                self.switch()

        def resume_writing(self):
            if callback == "resume_writing":
                self.switch()

        def eof_received(self):
            self.switch()
            return True

    return Switching


@pytest.mark.parametrize("callback", ["message_received", "pause_writing", "resume_writing"])
def test_a_successor_gets_what_was_not_delivered(core, reactor, wires, callback):
    first, peer = wires.attach(switching(core, callback))
    peer.sendall(b"go\nrest")
    if callback != "message_received":
        assert len(drain(reactor, peer, 200_000)) == 200_000
    step_until(reactor, lambda: hasattr(first, "successor"))
    step_until(reactor, lambda: first.successor.received == b"rest")
    peer.send(b" and more")
    step_until(reactor, lambda: first.successor.received == b"rest and more")
    assert first.calls == [b"go"]


def test_a_successor_from_connection_made_gets_everything(core, reactor, wires):
    first, peer = wires.attach(switching(core, "connection_made"))
    peer.sendall(b"go\nrest")
    step_until(reactor, lambda: first.successor.received == b"go\nrest")
    assert first.calls == []


def test_a_successor_from_eof_received_gets_the_unfinished_message(core, reactor, wires):
    first, peer = wires.attach(switching(core, "eof_received"))
    peer.sendall(b"go\nrest")
    peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: hasattr(first, "successor"))
    step_until(reactor, lambda: first.successor.received == b"rest")
    assert first.calls == [b"go"]


def test_a_successor_chosen_between_two_events_gets_the_unfinished_message(core, reactor, wires):
    first, peer = wires.attach(recording_lines(core))
    peer.sendall(b"go\nhel")
    step_until(reactor, lambda: first.calls == [b"go"])
    second = reactor.run_until_complete(recording(recording_lines(core)))
    first.transport.set_protocol(second)
    peer.sendall(b"lo\n")
    step_until(reactor, lambda: second.calls == [b"hello"])


def test_a_successor_chosen_while_paused_waits_for_the_resume(core, reactor, wires):
    first, peer = wires.attach(recording_lines(core))
    first.transport.pause_reading()
    peer.sendall(b"one\ntwo\n")
    steps(reactor)
    second = reactor.run_until_complete(recording(recording_lines(core)))
    first.transport.set_protocol(second)
    steps(reactor)
    assert second.calls == []
    peer.close()
    first.transport.resume_reading()
    step_until(reactor, lambda: second.lost.done())
    assert second.calls == [b"one", b"two", "eof", "lost"]


async def recording(factory):
    """A protocol's own future needs a running loop."""
    return factory()


def test_three_protocols_share_one_packet(core, reactor, wires):
    """A length, then that many bytes, then lines again: each takes what is its own."""
    calls = []

    class Last(core.LineProtocol):
        def message_received(self, message):
            calls.append(("last", message))

    class Middle(core.FixedLengthProtocol):
        size = 3

        def message_received(self, message):
            calls.append(("middle", message))
            self.transport.set_protocol(Last())

    class First(core.LineProtocol):
        def message_received(self, message):
            calls.append(("first", message))
            self.transport.set_protocol(Middle())

    _, peer = wires.attach(First)
    peer.sendall(b"3\nabcfin\nfi")
    steps(reactor, 5)
    peer.sendall(b"nal\n")
    steps(reactor, 5)
    assert calls == [("first", b"3"), ("middle", b"abc"), ("last", b"fin"), ("last", b"final")]
