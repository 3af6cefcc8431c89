"""``TestReactor``: time that only the test, or the lack of anything else to do, lets pass."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from streams_kit import Recorder


@pytest.fixture
def reactor(core):
    with core.testing.TestReactor() as reactor:
        yield reactor


def test_timers_run_in_order_each_at_its_own_time(reactor):
    ran = []

    def note(name):
        ran.append((name, reactor.time()))

    reactor.call_later(3, note, "three")
    reactor.call_later(1, note, "one")
    reactor.call_at(2, note, "two")
    reactor.call_later(1, note, "one again")
    reactor.call_later(2.5, note, "cancelled").cancel()
    reactor.advance(2)
    assert ran == [("one", 1), ("one again", 1), ("two", 2)]
    reactor.advance(0.5)
    assert (len(ran), reactor.time()) == (3, 2.5)
    reactor.advance(100)
    assert (ran[3], reactor.time()) == (("three", 3), 102.5)


def test_what_a_timer_schedules_comes_due_on_the_way(reactor):
    ran = []

    def again():
        ran.append(reactor.time())
        reactor.call_later(10, again)

    again()
    reactor.advance(35)
    assert ran == [0, 10, 20, 30]


def test_nothing_comes_early_and_sums_of_fractions_come_in_time(reactor):
    ran = []
    reactor.call_later(1.0, ran.append, "a second")
    for _ in range(9):
        reactor.advance(0.1)
    assert ran == []
    reactor.advance(0.1)
    assert ran == ["a second"]
    assert reactor.time() >= 1.0


def test_without_time_passing_everything_ready_runs(reactor):
    ran = []
    reactor.call_soon(lambda: reactor.call_soon(lambda: reactor.call_later(0, ran.append, "in the end")))
    reactor.call_later(0.001, ran.append, "too early")
    reactor.settle()
    assert ran == ["in the end"]
    assert reactor.time() == 0


def test_a_coroutine_sleeps_in_no_time(reactor):
    async def main():
        async with asyncio.timeout(7200):
            await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert reactor.run_until_complete(main()) == 3660
    assert time.monotonic() - before < 60


def test_a_timeout_fires_only_where_nothing_came(reactor):
    """The clock waits for the kernel: what one end sent counts before a timeout of the other's."""

    async def main():
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        _, peer = await asyncio.open_connection(sock=theirs)
        for _ in range(10):
            asyncio.get_running_loop().call_later(1, peer.write, b"still here\n")
            assert await asyncio.wait_for(reader.readline(), 1.5) == b"still here\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 1.5)
        for end in (writer, peer):
            end.close()
            await end.wait_closed()
        return asyncio.get_running_loop().time()

    assert reactor.run_until_complete(main()) == 11.5


def test_the_clock_stands_still_while_another_thread_works(reactor):
    async def main():
        working = asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
        await asyncio.wait_for(working, 0.01)
        return asyncio.get_running_loop().time()

    assert reactor.run_until_complete(main()) == 0


def test_without_jumps_only_advance_moves_the_clock(core):
    with core.testing.TestReactor(now=100, jumps=False) as reactor:
        sleeping = reactor.create_task(asyncio.sleep(5, "slept"))
        reactor.advance(4.9)
        assert not sleeping.done()
        reactor.call_later(0.1, reactor.stop)
        reactor.call_soon_threadsafe(reactor.stop)
        reactor.run()
        assert reactor.time() == 104.9
        reactor.advance(0.1)
        assert sleeping.result() == "slept"


def test_what_is_written_as_it_stops_still_leaves(reactor):
    ours, peer = socket.socketpair()
    transport, _ = reactor.run_until_complete(reactor.create_connection(asyncio.Protocol, sock=ours))

    def write():
        for _ in range(5):
            transport.write(b"x")
        reactor.stop()

    for _ in range(5):  # a habit of several writes: they are held
        reactor.call_soon(write)
        reactor.run()
    assert peer.recv(100) == b"x" * 25
    transport.abort()
    reactor.settle()
    peer.close()


def test_misuse_raises(core, reactor):
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError):
            reactor.advance(wrong)
        with pytest.raises(ValueError):
            core.testing.TestReactor(now=wrong)

    async def inside():
        with pytest.raises(RuntimeError, match="already running"):
            reactor.advance(1)

    reactor.run_until_complete(inside())

    def forever():
        reactor.call_soon(forever)

    forever()
    with pytest.raises(RuntimeError, match="no rest"):
        reactor.settle()


def test_a_protocol_with_a_timeout_of_its_own(core, reactor):
    """The usual case: an idle timeout, tested to the second."""

    class Impatient(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.timer = asyncio.get_running_loop().call_later(30, transport.abort)

        def data_received(self, data):
            super().data_received(data)
            self.timer.cancel()
            self.timer = asyncio.get_running_loop().call_later(30, self.transport.abort)

    protocol = reactor.call(Impatient)
    transport = core.testing.feed(protocol, b"x", loop=reactor)
    reactor.advance(29)
    transport.feed(b"y")
    reactor.advance(29)
    assert not transport.closed
    reactor.advance(1)
    assert transport.closed
    assert protocol.calls == ["made", "data", "data", "lost"]
