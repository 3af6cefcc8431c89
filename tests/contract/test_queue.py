"""The ready queue and the timers, where they grow, shrink, and meet the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import heapq
import random

import pytest
from streams_kit import collect, step_until, steps


@contextlib.contextmanager
def collector_at_rest():
    """It does not run by itself; afterwards it is as it was."""
    thresholds = gc.get_threshold() if hasattr(gc, "get_threshold") else ()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if thresholds:
            gc.set_threshold(*thresholds)
        gc.enable()


def hurry():
    """Have the collector run while the next object is made; PyPy's cannot be told to, and runs at once."""
    if hasattr(gc, "set_threshold"):
        gc.set_threshold(1)
        gc.enable()
    else:
        gc.collect()


@pytest.mark.parametrize("before", [0, 1, 62, 63, 64, 126, 127, 128, 254, 255, 256, 510, 511, 512])
def test_a_finalizer_may_schedule_while_the_queue_grows(reactor, before):
    """Making a handle may run the garbage collector, which may run code that makes handles."""
    ran, inner = [], 300

    class Cyclic:
        def __init__(self):
            self.me = self

        def __del__(self):
            for _ in range(inner):
                reactor.call_soon(ran.append, "inner")

    def schedule():
        for _ in range(before):
            reactor.call_soon(ran.append, "outer")
        Cyclic()
        hurry()
        reactor.call_soon(ran.append, "outer")
        gc.disable()

    with collector_at_rest():
        reactor.call_soon(schedule)
        reactor.run_once(0)
    collect()
    steps(reactor)
    assert ran.count("outer") == before + 1
    assert ran.count("inner") == inner


def test_callbacks_run_in_order_through_every_growth_of_the_queue(reactor):
    ran = []
    for i in range(10_000):
        reactor.call_soon(ran.append, i)
    reactor.run_once(0)
    assert ran == list(range(10_000))
    for size in (1, 100, 5000, 3, 1000):
        ran.clear()
        for i in range(size):
            reactor.call_soon(ran.append, i)
        reactor.run_once(0)
        assert ran == list(range(size))


def test_a_callback_that_reschedules_itself_lets_others_and_events_through(reactor, wires):
    protocol, peer = wires.attach()
    turns = 0

    def again():
        nonlocal turns
        turns += 1
        reactor.call_soon(again)

    reactor.call_soon(again)
    peer.send(b"x")
    steps(reactor, 3)
    assert 3 <= turns <= 6  # once an iteration, and once more where events made something ready
    assert protocol.received == b"x"


def test_a_cancelled_handle_does_not_run_whenever_it_is_cancelled(reactor):
    ran = []
    first = reactor.call_soon(lambda: second.cancel())
    second = reactor.call_soon(ran.append, "cancelled by the first")
    early = reactor.call_soon(ran.append, "cancelled at once")
    early.cancel()
    due = reactor.call_at(reactor.time(), lambda: later.cancel())
    later = reactor.call_at(reactor.time(), ran.append, "cancelled while due")
    step_until(reactor, lambda: due.when() < reactor.time())
    steps(reactor)
    assert ran == []
    assert not first.cancelled()


def test_a_handle_may_cancel_itself_while_it_runs(reactor):
    ran = []

    def cancel():
        handle.cancel()
        gc.collect()
        ran.append(repr(handle))

    handle = reactor.call_soon(cancel)
    reactor.run_once(0)
    handle = reactor.call_later(0, cancel)
    step_until(reactor, lambda: len(ran) == 2)


def test_timers_of_any_order_fire_in_order(reactor):
    now = reactor.time()
    order = []
    delays = [(i * 7919 % 1009) / 100_000 for i in range(1000)]
    timers = [reactor.call_at(now + delay, order.append, (delay, i)) for i, delay in enumerate(delays)]
    for timer in timers[::3]:
        timer.cancel()
    kept = [(delay, i) for i, delay in enumerate(delays) if i % 3]
    step_until(reactor, lambda: len(order) == len(kept))
    assert order == sorted(kept)


@pytest.mark.parametrize("seed", range(5))
def test_timers_that_come_and_go_by_the_thousand_leave_nobody_out(reactor, seed):
    """The heap grows and shrinks beside one that is known to be right."""
    rng = random.Random(seed)
    past, number, waiting, due = reactor.time() - 1, 0, {}, []
    for target in (10, 1000, 3, 300, 3000, 0, 65, 1, 400):
        for gone in rng.sample(sorted(waiting), max(0, len(waiting) - target)):
            waiting.pop(gone).cancel()
        while len(waiting) < target:
            number += 1
            waiting[number] = reactor.call_at(past + rng.randrange(100) / 1000, due.append, number)
    reactor.run_once(0)
    assert due == sorted(waiting, key=lambda number: (waiting[number].when(), number))


@pytest.mark.parametrize("before", [0, 1, 63, 64, 127, 128, 255, 256])
def test_a_finalizer_may_schedule_while_the_timers_grow(reactor, before):
    ran = []

    class Cyclic:
        def __init__(self):
            self.me = self

        def __del__(self):
            for i in range(300):
                reactor.call_at(past + i / 1000, ran.append, i)

    past = reactor.time() - 10
    with collector_at_rest():
        for i in range(before):
            reactor.call_at(past + 1 + i, ran.append, 1000 + i)
        Cyclic()
        hurry()
        reactor.call_at(past - 1, ran.append, -1)
    collect()
    step_until(reactor, lambda: len(ran) >= 301)
    assert ran[:301] == list(range(-1, 300))


def test_a_timer_scheduled_for_the_past_fires_in_the_next_iteration(reactor):
    ran = []
    reactor.call_at(reactor.time() - 1000, ran.append, 1)
    reactor.call_later(-5, ran.append, 2)
    assert ran == []
    steps(reactor, 2)
    assert sorted(ran) == [1, 2]


def test_a_timer_may_schedule_one_that_is_due_at_once_without_starving_anybody(reactor, wires):
    protocol, peer = wires.attach()
    fired = []

    def again():
        fired.append(1)
        reactor.call_later(0, again)

    again()
    peer.send(b"x")
    steps(reactor, 5)
    assert 2 <= len(fired) <= 6
    assert protocol.received == b"x"


@pytest.mark.parametrize("delay", [1e10, 1e100, float("inf")])
def test_a_timer_far_away_overflows_nothing(reactor, delay):
    timer = reactor.call_later(delay, pytest.fail, "too early")
    reactor.call_later(0.001, reactor.stop)
    reactor.run()
    timer.cancel()


@pytest.mark.parametrize("when", [None, "soon", float("nan")], ids=str)
def test_a_time_that_is_none_is_refused(reactor, when):
    for schedule in (reactor.call_at, reactor.call_later):
        with pytest.raises((TypeError, ValueError)):
            schedule(when, print)


def test_timers_compare_as_asyncio_s_do(reactor):
    early, late = reactor.call_at(1e9, print), reactor.call_at(2e9, print)
    assert early < late
    assert late > early
    assert early <= late
    assert early != late
    assert heapq.nsmallest(1, [late, early]) == [early]
    assert len({early, late}) == 2
    for timer in (early, late):
        timer.cancel()


def test_a_storm_of_timeouts_that_do_not_expire_leaves_no_timers(drive):
    def alive():
        collect()
        return sum(isinstance(thing, asyncio.TimerHandle) for thing in gc.get_objects())

    async def scenario(loop):
        before = alive()
        for _ in range(5000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
        assert alive() - before < 500

    drive(scenario)


def test_stop_in_a_callback_lets_the_rest_of_the_iteration_run(reactor):
    ran = []
    reactor.call_soon(reactor.stop)
    reactor.call_soon(ran.append, 1)
    reactor.call_soon(reactor.call_soon, ran.append, 2)
    reactor.run()
    assert ran == [1]
    reactor.run_once(0)
    assert ran == [1, 2]
