"""The promises of the scheduler, on both cores."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import threading
import time
import weakref

import pytest
from streams_kit import collect, steps

from cyreactor import limits


def test_call_soon_from_a_callback_runs_in_the_next_iteration(reactor):
    order = []

    def first():
        order.append(1)
        reactor.call_soon(order.append, 3)

    reactor.call_soon(first)
    reactor.call_soon(order.append, 2)
    reactor.run_once(0)
    assert order == [1, 2]
    reactor.run_once(0)
    assert order == [1, 2, 3]


def test_callbacks_that_go_on_and_on_hold_no_event_up(reactor):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ran = []

        def again():
            ran.append(0)
            reactor.call_soon(again)

        def came():
            ran.append("event")
            reactor.stop()

        def start():
            reactor.add_reader(ours, came)
            theirs.send(b"x")
            reactor.call_soon(again)

        reactor.call_soon(start)
        reactor.run_forever()
        assert ran.index("event") == limits.CALLBACKS_PER_POLL + 1  # what is ready at the look runs first


def test_timers_fire_in_deadline_order_and_first_come_first_served(reactor):
    order, now = [], reactor.time()
    for name, when in [("c", now + 0.02), ("a", now), ("d", now + 0.02), ("b", now + 0.01)]:
        reactor.call_at(when, order.append, name)
    reactor.call_at(now + 0.03, reactor.stop)
    reactor.run()
    assert order == ["a", "b", "c", "d"]


def test_a_timer_is_never_early(reactor):
    late = []
    for delay in (0.0001, 0.0005, 0.0013, 0.01):
        due = reactor.time() + delay
        reactor.call_at(due, lambda due=due: late.append(reactor.time() - due))
    reactor.call_later(0.02, reactor.stop)
    reactor.run()
    assert len(late) == 4
    assert min(late) >= 0


@pytest.mark.parametrize("delay", [0.0001, 0.0005])
def test_a_timer_of_less_than_a_millisecond_is_never_early(core, delay):
    early = []

    def came(due):
        early.append(loop.time() < due)

    async def main():
        for _ in range(50):
            due = loop.time() + delay
            await asyncio.sleep(delay)
            came(due)
            fired = asyncio.Event()
            due = loop.time() + delay
            loop.call_later(delay, lambda due=due, fired=fired: (came(due), fired.set()))
            await fired.wait()

    with core.Reactor() as loop:
        loop.run_until_complete(main())
    assert early == [False] * 100


# Ways in which something never comes to an end.


def by_callbacks(reactor, turn):
    def again():
        if turn():
            reactor.call_soon(again)

    again()


def by_thread_safe_calls(reactor, turn):
    def again():
        if turn():
            reactor.call_soon_threadsafe(again)

    again()


def by_timers(reactor, turn):
    def again():
        if turn():
            reactor.call_later(0, again)

    again()


def by_a_task(reactor, turn):
    async def again():
        while turn():
            await asyncio.sleep(0)

    reactor.running = reactor.create_task(again())


ENDLESS = [by_callbacks, by_thread_safe_calls, by_timers, by_a_task]


class Turns:
    """Goes on until told; that there is an end to it all the same keeps a mistake from hanging the suite."""

    def __init__(self):
        self.left = 1_000_000

    def __call__(self):
        self.left -= 1
        return self.left > 0


@pytest.mark.parametrize("way", ENDLESS)
def test_what_never_ends_starves_no_connection(reactor, wires, way):
    protocol, peer = wires.attach()
    turns = Turns()
    for _ in range(10):
        way(reactor, turns)
    peer.send(b"x")
    steps(reactor, 2)
    turns.left = 0
    steps(reactor)
    assert protocol.received == b"x"


@pytest.mark.parametrize("way", ENDLESS)
def test_what_never_ends_starves_no_timer(reactor, way):
    turns = Turns()
    way(reactor, turns)
    reactor.call_later(0.001, reactor.stop)
    reactor.run()
    assert turns.left > 0
    turns.left = 0
    steps(reactor)


def test_cancelled_timers_are_let_go(reactor):
    class Callback:
        def __call__(self):
            raise AssertionError("cancelled")

    callbacks = [Callback() for _ in range(1000)]
    watched = [weakref.ref(callback) for callback in callbacks]
    timers = [reactor.call_later(1000, callback) for callback in callbacks]
    del callbacks
    for timer in timers:
        timer.cancel()
    del timers, timer
    collect()
    assert not any(ref() for ref in watched)


def test_a_time_that_is_not_a_number_is_refused(reactor):
    with pytest.raises(ValueError, match="NaN"):
        reactor.call_later(float("nan"), print)
    reactor.call_later(float("inf"), print).cancel()


def test_handles_are_asyncio_handles(reactor):
    assert isinstance(reactor.call_soon(print), asyncio.Handle)
    assert isinstance(reactor.call_later(1, print), asyncio.TimerHandle)


def test_other_threads_wake_the_loop(reactor):
    thread = threading.Thread(target=lambda: (time.sleep(0.01), reactor.call_soon_threadsafe(reactor.stop)))
    thread.start()
    reactor.run()
    thread.join()


def test_a_stop_before_run_runs_what_is_queued_once(reactor):
    order = []
    reactor.call_soon(lambda: reactor.call_soon(order.append, 2))
    reactor.call_soon(order.append, 1)
    reactor.stop()
    reactor.run()
    assert order == [1]


def test_an_exception_in_a_callback_is_reported_and_the_rest_runs(reactor):
    reported, order = [], []
    reactor.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    reactor.call_soon(lambda: 1 / 0)
    reactor.call_soon(order.append, 1)
    reactor.run_once(0)
    assert [type(exc) for exc in reported] == [ZeroDivisionError]
    assert order == [1]


def test_keyboard_interrupt_loses_no_handle(reactor):
    def interrupt():
        raise KeyboardInterrupt

    order = []
    reactor.call_soon(interrupt)
    reactor.call_soon(order.append, 1)
    with pytest.raises(KeyboardInterrupt):
        reactor.run()
    reactor.run_once(0)
    assert order == [1]


def test_a_reused_descriptor_number_is_watched_again(reactor):
    """The number is closed without remove_reader, and comes back as another socket."""
    seen = []
    one, other = socket.socketpair()
    number = one.fileno()
    reactor.add_reader(number, seen.append, "old")
    one.close()
    fresh, peer = socket.socketpair()
    if fresh.fileno() != number:
        os.dup2(fresh.fileno(), number)
    reactor.add_reader(number, seen.append, "new")
    peer.send(b"x")
    reactor.run_once(1)
    assert seen == ["new"]
    reactor.remove_reader(number)
    if fresh.fileno() != number:
        os.close(number)
    for sock in (other, fresh, peer):
        sock.close()


def test_reader_and_writer_on_one_number(reactor):
    seen = []
    one, other = socket.socketpair()
    reactor.add_reader(one, seen.append, "read")
    reactor.add_writer(one, seen.append, "write")
    other.send(b"x")
    reactor.run_once(1)
    assert sorted(seen) == ["read", "write"]
    assert reactor.remove_writer(one)
    seen.clear()
    reactor.run_once(1)
    assert seen == ["read"]
    assert reactor.remove_reader(one)
    assert not reactor.remove_reader(one)
    one.close()
    other.close()


def test_a_callback_may_remove_a_neighbour_in_the_same_batch(reactor):
    pairs = [socket.socketpair() for _ in range(2)]
    seen = []

    def remove(own, neighbour):
        seen.append(own)
        reactor.remove_reader(own)
        reactor.remove_reader(neighbour)

    a, b = (ours for ours, _ in pairs)
    reactor.add_reader(a, remove, a, b)
    reactor.add_reader(b, remove, b, a)
    for _, peer in pairs:
        peer.send(b"x")
    reactor.run_once(1)
    reactor.run_once(0)
    assert len(seen) == 1
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_listening_needs_one_address(reactor):
    with pytest.raises(ValueError, match="exactly one"):
        reactor.listen(asyncio.Protocol)


def test_out_of_descriptors_the_listener_rests_and_comes_back(core, monkeypatch):
    import resource

    reported = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        client = socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.dup(0)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        try:
            client.connect(server.sockets[0].getsockname())
            await asyncio.sleep(0.1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert reported == ["socket.accept() out of system resource"]
        client.settimeout(5)
        while not list(loop.connections()):
            await asyncio.sleep(0.05)
        client.close()
        server.close()
        await asyncio.sleep(0.05)

    core.run(main())


def test_what_a_thread_may_cancel_is_as_safe_as_asyncios_own(reactor):
    """Since Python 3.14 its cancel() waits for the callback that it comes too late for."""
    with contextlib.closing(asyncio.SelectorEventLoop()) as other:
        kinds = {
            type(loop.call_soon_threadsafe(int)).__name__ == "_ThreadSafeHandle" for loop in (reactor, other)
        }
    assert len(kinds) == 1
    cancelled = reactor.call_soon_threadsafe(pytest.fail)
    cancelled.cancel()
    ran = []
    reactor.call_soon_threadsafe(ran.append, 1)
    reactor.run_once(0)
    assert ran == [1]


@pytest.mark.parametrize("given", [{}, {"name": "one"}, {"context": contextvars.copy_context()}], ids=list)
def test_a_task_factory_hears_what_asyncio_s_own_loop_tells_it(core, given):
    """Since Python 3.14 that is every keyword that was given, and no other."""

    def told_by(loop):
        told = []

        def factory(loop, coro, **options):
            told.append(options)
            return asyncio.Task(coro, loop=loop)

        with contextlib.closing(loop):
            loop.set_task_factory(factory)
            loop.run_until_complete(loop.create_task(asyncio.sleep(0), **given))
        return told

    assert told_by(core.Reactor()) == told_by(asyncio.SelectorEventLoop())
