"""When what is written leaves, and in how many system calls.

The connections run over sockets that keep records apart (SOCK_SEQPACKET): what one send carried is
what the peer gets from one recv, so that the kernel itself counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
import time

import pytest
from streams_kit import Recorder, recording_lines, steps, within

# A few more iterations with several writes than a habit takes.
HABIT = 5


@pytest.fixture
def records(reactor, wires):
    """Make a connection; returns its protocol, and what takes the records that came to the peer."""

    def attach(factory=Recorder):
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wires.sockets.append(peer)
        for sock in (ours, peer):
            sock.setblocking(False)

        async def opened():
            protocol = factory()
            wires.transports.append(reactor._make_socket_transport(ours, protocol))
            return protocol

        protocol = reactor.run_until_complete(opened())
        steps(reactor)
        return protocol, peer, lambda: taken(peer)

    return attach


def taken(peer):
    """The records that wait at the peer."""
    records = []
    with contextlib.suppress(BlockingIOError):
        while record := peer.recv(1 << 20):
            records.append(record)
    return records


class Answering(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(b"header ")
        self.transport.writelines([b"body ", b"end"])


def test_several_writes_of_a_callback_leave_in_one_send(reactor, records):
    _, peer, take = records(Answering)
    peer.send(b"x")
    reactor.run_once(0)
    assert take() == [b"header body end"]


def test_answers_to_a_batch_of_messages_leave_in_one_send(core, reactor, records):
    class Echo(recording_lines(core)):
        def message_received(self, message):
            self.send_message(message)

    _, peer, take = records(Echo)
    peer.send(b"one\ntwo\nthree\n")
    reactor.run_once(0)
    assert take() == [b"one\ntwo\nthree\n"]


def test_writes_in_connection_made_leave_in_one_send(records):
    class Greeting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"hello ")
            transport.write(b"there")

    assert records(Greeting)[2]() == [b"hello there"]


def test_writelines_leaves_in_one_send(records):
    protocol, _, take = records()
    protocol.transport.writelines([b"one ", b"two ", b"three"])
    assert take() == [b"one two three"]


def written(reactor, protocol, take, data):
    """Write from outside of a dispatch; what had left when `write` returned."""
    return within(reactor, lambda: (protocol.transport.write(data), take())[1])


def test_the_first_write_of_a_task_leaves_at_once(reactor, records):
    protocol, _, take = records()
    assert written(reactor, protocol, take, b"now") == [b"now"]


def in_a_row(reactor, take, protocol, iterations):
    """Write a header and a body from outside of a dispatch, each iteration; what left each time."""
    seen = []

    def write():
        protocol.transport.write(b"header ")
        protocol.transport.write(b"body")

    for _ in range(iterations):
        reactor.call_soon(write)
        reactor.run_once(0)
        steps(reactor, 1)
        seen.append(take())
    return seen


def test_a_header_and_a_body_from_a_task_soon_leave_in_one_send(reactor, records):
    protocol, _, take = records()
    seen = in_a_row(reactor, take, protocol, HABIT)
    assert seen[0] == [b"header ", b"body"]
    assert seen[-1] == [b"header body"]


def test_the_second_write_of_an_iteration_does_not_overtake_nor_stay(reactor, records):
    protocol, _, take = records()

    def write():
        for piece in (b"a", b"b", b"c"):
            protocol.transport.write(piece)

    reactor.call_soon(write)
    reactor.run_once(0)
    reactor.run_once(0)
    assert b"".join(take()) == b"abc"


def test_a_connection_that_stops_writing_twice_soon_writes_at_once_again(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)
    for _ in range(HABIT):
        reactor.call_soon(protocol.transport.write, b"single")
        steps(reactor)
        assert take() == [b"single"]
    assert written(reactor, protocol, take, b"at once") == [b"at once"]


def test_nothing_is_held_where_nobody_would_flush(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)
    for piece in (b"before ", b"the next run"):
        protocol.transport.write(piece)
        assert take() == [piece]


def test_what_an_iteration_left_leaves_with_what_is_written_before_the_next(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)
    assert written(reactor, protocol, take, b"held, ") == []
    protocol.transport.write(b"not now")
    assert take() == [b"held, not now"]


def test_who_may_write_again_at_the_end_of_a_run_is_not_held(core):
    """On a reactor of tests: what the run leaves is sent when its last iteration is over."""

    class Resumed(Recorder):
        def resume_writing(self):
            super().resume_writing()
            self.transport.write(b"d")
            self.transport.write(b"e")

    def write(protocol):
        protocol.transport.write(b"a")
        protocol.transport.write(b"bc")
        protocol.transport.set_write_buffer_limits(high=1, low=0)
        reactor.stop()

    with core.testing.TestReactor() as reactor:
        reported = []
        reactor.set_exception_handler(lambda _, context: reported.append(context))
        ours, peer = socket.socketpair()
        with peer:
            opening = reactor.create_connection(lambda: Resumed(), sock=ours)
            transport, protocol = reactor.run_until_complete(opening)
            reactor.call_soon(write, protocol)
            reactor.run_forever()
            assert peer.recv(100) == b"abcde"
            transport.close()
            reactor.settle()
        assert protocol.calls == ["made", "pause", "resume", "lost"]
        assert reported == []


def test_a_held_write_leaves_before_a_wait_that_blocks(reactor, records):
    """The peer answers only what it got: were the write to sleep with the loop, nothing would wake it."""
    protocol, peer, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    def answer():
        assert peer.recv(100) == b"question"
        peer.send(b"answer")

    reactor.add_reader(peer, answer)
    reactor.call_soon(protocol.transport.write, b"question")
    reactor.run_once(None)
    while not protocol.received:
        reactor.run_once(None)
    reactor.remove_reader(peer)


def test_a_held_write_leaves_before_run_returns(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    def write_and_stop():
        protocol.transport.write(b"last ")
        protocol.transport.write(b"words")
        reactor.stop()

    reactor.call_soon(write_and_stop)
    reactor.run()
    assert take() == [b"last words"]


def test_a_held_write_leaves_before_run_until_complete_returns(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    async def write():
        await asyncio.sleep(0)
        protocol.transport.write(b"last")

    reactor.run_until_complete(write())
    assert take() == [b"last"]


def test_a_held_write_leaves_when_the_connection_is_closed(reactor, records):
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    def write_and_close():
        protocol.transport.write(b"good")
        protocol.transport.write(b"bye")
        protocol.transport.close()

    reactor.call_soon(write_and_close)
    steps(reactor)
    assert b"".join(take()) == b"goodbye"
    assert protocol.calls == ["made", "lost"]


def test_a_held_write_leaves_before_the_half_close(reactor, records):
    protocol, peer, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    def write_and_end():
        protocol.transport.write(b"the end")
        protocol.transport.write_eof()

    reactor.call_soon(write_and_end)
    steps(reactor)
    assert peer.recv(100) == b"the end"
    assert peer.recv(100) == b""


def test_a_held_write_of_an_aborted_connection_does_not_leave(reactor, records):
    protocol, peer, take = records()
    in_a_row(reactor, take, protocol, HABIT)

    def write_and_abort():
        protocol.transport.write(b"never")
        protocol.transport.abort()

    reactor.call_soon(write_and_abort)
    steps(reactor)
    assert peer.recv(100) == b""


def test_many_held_writes_leave_before_they_pile_up(reactor, records):
    """Above the high-water mark a held queue goes out, even while the callback that writes still runs."""
    protocol, _, take = records()
    in_a_row(reactor, take, protocol, HABIT)
    left = []

    def write():
        for _ in range(40):
            protocol.transport.write(bytes(2000))
        left.extend(take())

    reactor.call_soon(write)
    steps(reactor)
    assert sum(map(len, left)) > 64 * 1024
    assert sum(map(len, left + take())) == 80_000


def test_a_write_to_another_connection_leaves_in_the_same_iteration(reactor, records):
    """A proxy: what comes on one side goes out on the other, although its own dispatch is not under way."""
    other, _, take = records()

    class Proxy(Recorder):
        def data_received(self, data):
            other.transport.write(data)

    _, peer, _ = records(Proxy)
    for _ in range(HABIT):
        peer.send(b"through")
        steps(reactor, 2)
        assert take() == [b"through"]


# --- several connections at a time ---


class Crowd:
    """Connections that all have something to read; `answer` says what each does about it."""

    def __init__(self, reactor, records, answer, count=3):
        self.reactor = reactor

        class Answers(Recorder):
            def data_received(_, data):
                self.turn += 1
                answer(self, self.turn - 1)

        self.made = [records(Answers) for _ in range(count)]
        self.protocols = [protocol for protocol, _, _ in self.made]
        self.takes = [take for _, _, take in self.made]

    def arrived(self):
        """Whether anything waits at a peer."""
        return bool(select.select([peer for _, peer, _ in self.made], [], [], 0)[0])

    def ask(self):
        self.turn = 0
        for _, peer, _ in self.made:
            peer.send(b"x")

    def play(self):
        """One iteration with them; what had left at its end, of each."""
        self.ask()
        self.reactor.run_once(0)
        return [take() for take in self.takes]


def test_answers_of_one_wait_leave_together(reactor, records):
    early = []

    def answer(crowd, turn):
        early.append(crowd.arrived())
        crowd.protocols[turn].transport.write(b"a")
        crowd.protocols[turn].transport.write(b"b")

    crowd = Crowd(reactor, records, answer)
    for _ in range(20):
        assert crowd.play() == [[b"ab"]] * 3
    assert early.count(True) < 40  # not each of them by itself; some, where this process had to wait


def test_a_large_answer_waits_for_nobody(reactor, records):
    seen = []

    def answer(crowd, turn):
        seen.append([len(record) for take in crowd.takes for record in take()])
        crowd.protocols[turn].transport.write(bytes(20_000))

    Crowd(reactor, records, answer).play()
    assert seen == [[], [20_000], [20_000]]


def test_an_answer_does_not_wait_for_a_slow_neighbour_but_one(reactor, records):
    seen = []

    def answer(crowd, turn):
        if turn == 2:
            seen.append([take() for take in crowd.takes])
        crowd.protocols[turn].transport.write(b"%d" % turn)
        time.sleep(0.001)

    assert Crowd(reactor, records, answer).play() == [[], [], [b"2"]]
    assert seen == [[[b"0"], [b"1"], []]]


def test_a_failing_neighbour_holds_no_answer_back(reactor, records):
    def answer(crowd, turn):
        crowd.protocols[turn].transport.write(b"%d" % turn)
        if turn == 1:
            raise KeyboardInterrupt

    crowd = Crowd(reactor, records, answer)
    with pytest.raises(KeyboardInterrupt):
        crowd.play()
    steps(reactor, 2)
    assert [take() for take in crowd.takes] == [[b"0"], [b"1"], [b"2"]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_answers_leave_before_an_exception_leaves_the_run(reactor, records, error):
    def answer(crowd, turn):
        crowd.protocols[turn].transport.write(b"%d" % turn)
        if turn == 1:
            raise error

    crowd = Crowd(reactor, records, answer)
    crowd.ask()
    with pytest.raises(error):
        reactor.run()
    assert [take() for take in crowd.takes] == [[b"0"], [b"1"], []]


def test_a_child_that_leaves_the_loop_sends_no_answer_of_its_parent(reactor, records):
    children = []

    def answer(crowd, turn):
        crowd.protocols[turn].transport.write(b"%d" % turn)
        if turn == 1:
            children.append(os.fork())
            if children == [0]:
                sys.exit()
        if turn == 2:
            reactor.stop()

    crowd = Crowd(reactor, records, answer)
    crowd.ask()
    try:
        reactor.run()
    finally:
        if children == [0]:
            os._exit(0)
    os.waitpid(children[0], 0)
    assert [take() for take in crowd.takes] == [[b"0"], [b"1"], [b"2"]]


def test_tasks_of_connections_that_became_ready_together_soon_write_together(reactor, records):
    early = []

    def answer(crowd, turn):
        def write():
            early.append(crowd.arrived())
            crowd.protocols[turn].transport.write(b"x")

        reactor.call_soon(write)

    crowd = Crowd(reactor, records, answer)
    for _ in range(20):
        left = crowd.play()
        steps(reactor, 1)
        assert [seen + take() for seen, take in zip(left, crowd.takes, strict=True)] == [[b"x"]] * 3
    assert early.count(True) < 40
    for protocol, take in zip(crowd.protocols, crowd.takes, strict=True):
        for _ in range(HABIT):
            written(reactor, protocol, take, b"alone")
            steps(reactor, 1)
            take()
        assert written(reactor, protocol, take, b"alone") == [b"alone"]


@pytest.mark.parametrize("size", [1, 100, 1000, 10_000], ids=lambda size: f"{size} B")
def test_pieces_arrive_as_they_were_written(reactor, wires, size):
    """Copied into one or gathered by the kernel, and what the kernel had no room for after it."""
    sent = [bytes([i % 256]) * size for i in range(600)]

    class Answers(Recorder):
        def data_received(self, data):
            for piece in sent:
                self.transport.write(piece)

    _, peer = wires.attach(Answers)
    peer.setblocking(False)
    peer.send(b"x")
    expected, got = b"".join(sent), bytearray()
    while len(got) < len(expected):
        reactor.run_once(0)
        with contextlib.suppress(BlockingIOError):
            got += peer.recv(1 << 20)
    assert got == expected
