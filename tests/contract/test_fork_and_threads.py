"""Other processes and other threads: a child disturbs nobody, and what a thread does is seen."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import socket
import threading
import traceback

import pytest
from streams_kit import Recorder, step_until, steps


def in_child(function):
    """Run it in a forked child; false where it failed there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class Echo(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


def echoes(reactor, peer, protocol):
    """The connection still works, both ways."""
    protocol.received = b""
    peer.send(b"are you there")
    step_until(reactor, lambda: protocol.received == b"are you there")
    return peer.recv(100) == b"are you there"


ENDS = {
    "closes the transport": lambda reactor, server, transport: transport.close(),
    "aborts the transport": lambda reactor, server, transport: transport.abort(),
    "pauses and resumes": lambda reactor, server, transport: (
        transport.pause_reading(),
        transport.resume_reading(),
    ),
    "closes the server": lambda reactor, server, transport: server.close(),
    "closes the reactor": lambda reactor, server, transport: reactor.close(),
    "does nothing": lambda reactor, server, transport: None,
}


def may_refuse(action):
    """The child is told that the loop is not its own, or is let off; either way it must survive."""

    def run():
        with contextlib.suppress(RuntimeError):
            action()

    return run


@pytest.mark.parametrize("end", ENDS)
def test_a_child_that_ends_things_disturbs_the_parent_in_nothing(reactor, wires, end):
    made = []
    server = reactor.listen(lambda: made.append(Echo()) or made[-1], "127.0.0.1", 0)
    protocol, peer = wires.attach(Echo)
    assert in_child(may_refuse(lambda: ENDS[end](reactor, server, protocol.transport)))
    assert echoes(reactor, peer, protocol)
    client = wires.client(server)
    step_until(reactor, lambda: made and made[0].calls)
    assert echoes(reactor, client, made[0])
    server.close()


@pytest.mark.parametrize("end", ENDS)
def test_a_child_forked_in_a_callback_disturbs_the_parent_in_nothing(reactor, wires, end):
    class Forking(Echo):
        def data_received(self, data):
            if data == b"fork":
                assert in_child(may_refuse(lambda: ENDS[end](reactor, server, self.transport)))
            else:
                super().data_received(data)

    server = reactor.listen(Echo, "127.0.0.1", 0)
    protocol, peer = wires.attach(Forking)
    peer.send(b"fork")
    steps(reactor)
    assert echoes(reactor, peer, protocol)
    server.close()


SCHEDULING = {
    "call_soon": lambda reactor: reactor.call_soon(print),
    "call_later": lambda reactor: reactor.call_later(0, print),
    "call_soon_threadsafe": lambda reactor: reactor.call_soon_threadsafe(print),
    "run_once": lambda reactor: reactor.run_once(0),
    "run": lambda reactor: reactor.run(),
}


@pytest.mark.parametrize("what", SCHEDULING)
def test_a_child_is_told_that_the_loop_is_not_its_own(reactor, what):
    def refused():
        with pytest.raises(RuntimeError, match="fork"):
            SCHEDULING[what](reactor)

    assert in_child(refused)
    reactor.call_soon(reactor.stop)
    reactor.run()


def test_a_child_has_loops_of_its_own(core, reactor, wires):
    protocol, peer = wires.attach(Echo)

    async def talk():
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        server.close()

    def child():
        asyncio._set_running_loop(None)
        core.run(talk())

    assert in_child(child)
    assert echoes(reactor, peer, protocol)


def test_a_signal_of_the_child_does_not_wake_the_parent_s_handlers(reactor):
    seen = []
    reactor.add_signal_handler(signal.SIGUSR1, seen.append, "parent")

    def child():
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        os.kill(os.getpid(), signal.SIGUSR1)

    assert in_child(child)
    steps(reactor)
    assert seen == []
    os.kill(os.getpid(), signal.SIGUSR1)
    step_until(reactor, lambda: seen == ["parent"])
    assert reactor.remove_signal_handler(signal.SIGUSR1)


def from_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_one_thread_schedules_runs_in_its_order(reactor):
    seen = []

    def schedule(name):
        for i in range(5000):
            reactor.call_soon_threadsafe(seen.append, (name, i))

    from_threads(*(lambda name=name: schedule(name) for name in "abc"))
    steps(reactor, 2)
    assert len(seen) == 15_000
    for name in "abc":
        assert [i for who, i in seen if who == name] == list(range(5000))


def test_a_storm_of_threads_loses_no_callback_while_the_loop_sleeps_and_wakes(reactor):
    count = 0

    def one():
        nonlocal count
        count += 1
        if count == 8000:
            reactor.stop()

    def storm():
        for _ in range(2000):
            reactor.call_soon_threadsafe(one)

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    reactor.run()
    for thread in threads:
        thread.join()
    assert count == 8000


def test_every_single_wake_up_arrives(reactor):
    """One at a time, each into a loop that is just going to sleep: a lost one would hang here."""
    turn = threading.Semaphore(0)

    def wake():
        for _ in range(2000):
            reactor.call_soon_threadsafe(turn.release)
            assert turn.acquire(timeout=20)
        reactor.call_soon_threadsafe(reactor.stop)

    thread = threading.Thread(target=wake)
    thread.start()
    reactor.run()
    thread.join()


def test_a_callback_from_a_thread_runs_in_its_caller_s_context(reactor):
    variable = contextvars.ContextVar("variable", default="the loop's")
    seen = []

    def schedule():
        variable.set("the thread's")
        reactor.call_soon_threadsafe(lambda: seen.append(variable.get()))

    from_threads(schedule)
    reactor.run_once(0)
    assert seen == ["the thread's"]


def test_what_another_thread_writes_leaves_while_the_loop_sleeps(reactor, wires):
    """Not what write is for; but it must not get stuck until something else wakes the loop."""
    protocol, peer = wires.attach()
    got = []

    def write():
        for _ in range(20):
            protocol.transport.write(b"x")
        while len(b"".join(got)) < 20:
            got.append(peer.recv(100))
        reactor.call_soon_threadsafe(reactor.stop)

    thread = threading.Thread(target=write)
    reactor.call_soon(thread.start)
    reactor.run()
    thread.join()
    assert b"".join(got) == b"x" * 20


def test_a_loop_runs_in_a_thread_and_is_stopped_from_another(core):
    reactor = core.Reactor()
    thread = threading.Thread(target=reactor.run)
    thread.start()
    done = threading.Event()
    reactor.call_soon_threadsafe(done.set)
    assert done.wait(20)
    reactor.call_soon_threadsafe(reactor.stop)
    thread.join(20)
    assert not thread.is_alive()
    reactor.close()


def test_scheduling_on_a_closed_loop_is_refused_from_any_thread(core):
    reactor = core.Reactor()
    reactor.close()
    refused = []

    def schedule():
        try:
            reactor.call_soon_threadsafe(print)
        except RuntimeError as exc:
            refused.append(str(exc))

    from_threads(schedule)
    assert refused == ["Event loop is closed"]
    reactor.close()


def test_two_loops_in_two_threads_talk_to_each_other(core):
    results = []
    ours, theirs = socket.socketpair()

    async def talk(sock, message):
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(message + b"\n")
        results.append(await reader.readline())
        writer.close()

    from_threads(lambda: core.run(talk(ours, b"one")), lambda: core.run(talk(theirs, b"two")))
    assert sorted(results) == [b"one\n", b"two\n"]
