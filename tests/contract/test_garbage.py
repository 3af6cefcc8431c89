"""What waits to be called is found by the garbage collector when it is garbage, and only then."""

from __future__ import annotations

import contextvars
import gc
import weakref

import pytest


class Keeper:
    """An object that keeps the handle of its own call."""

    handle = None

    def __init__(self):
        self.called = 0

    def call(self, *args):
        self.called += 1


@pytest.fixture
def loop(core):
    loop = core.Reactor()
    yield loop
    loop.close()


def turn(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def collected(make):
    """Whether the object that ``make`` returns, and nobody else has, goes."""
    found = weakref.ref(make())
    for _ in range(3):
        gc.collect()
    return found() is None


@pytest.mark.parametrize("schedule", ["call_soon", "call_soon_threadsafe"])
def test_one_that_keeps_its_handle_goes_after_the_call(loop, schedule):
    def make():
        keeper = Keeper()
        keeper.handle = getattr(loop, schedule)(keeper.call)
        turn(loop)
        assert keeper.called == 1
        return keeper

    assert collected(make)


def test_one_that_keeps_a_timer_s_handle_goes_after_the_call(loop):
    def make():
        keeper = Keeper()
        keeper.handle = loop.call_later(0, keeper.call)
        while not keeper.called:
            turn(loop)
        return keeper

    assert collected(make)


@pytest.mark.parametrize("schedule", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_one_that_waits_in_a_loop_goes_when_that_is_closed(core, schedule):
    def make():
        loop, keeper = core.Reactor(), Keeper()
        delay = (60,) if schedule == "call_later" else ()
        keeper.handle = getattr(loop, schedule)(*delay, keeper.call)
        loop.close()
        return keeper

    assert collected(make)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("arguments", [0, 1, 3])
def test_a_loop_that_nobody_closes_goes_with_what_waits_in_it(core, arguments):
    def make():
        loop, keeper = core.Reactor(), Keeper()
        loop.call_soon(keeper.call, *[loop] * arguments)
        keeper.loop = loop
        return keeper

    assert collected(make)


def idle(loop, schedule):
    schedule()


def interrupted(loop, schedule):
    def interrupt():
        schedule()
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()


def stopped(loop, schedule):
    loop.call_soon(lambda: (schedule(), loop.stop()))
    loop.run_forever()


def stepped(loop, schedule):
    loop.call_soon(schedule)
    loop.run_once(0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("begin", [idle, interrupted, stopped, stepped])
def test_a_loop_that_nobody_closes_goes_with_one_that_keeps_its_handle(core, begin):
    """Whatever was the last that the loop did."""

    def make():
        loop, keeper = core.Reactor(), Keeper()
        keeper.loop = loop

        def schedule():
            keeper.handle = loop.call_soon(keeper.call)

        begin(loop, schedule)
        assert keeper.called == 0
        return keeper

    assert collected(make)


def test_a_finalizer_may_schedule_while_the_queue_grows(core, loop):
    """Python 3.11 collects when memory is asked for, which is in the midst of it."""
    ran = []
    context = contextvars.copy_context()

    class Pushing:
        def __del__(self):
            for index in range(64):
                loop.call_soon(ran.append, index)

    with core.Reactor() as other:  # its handles are reused, so that the list is the first to ask
        for _ in range(1000):
            other.call_soon(int)
        turn(other)
    for index in range(64):
        loop.call_soon(ran.append, index)
    gc.collect()
    threshold = gc.get_threshold()
    gc.disable()
    try:
        lists = [[] for _ in range(1000)]  # more than are kept for reuse
        pushing = Pushing()
        pushing.itself = pushing
        del pushing
        gc.set_threshold(1)
        gc.enable()
        loop.call_soon(ran.append, 64, context=context)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    del lists
    gc.collect()
    turn(loop)
    assert sorted(ran) == sorted([*range(64), *range(64), 64])


def test_one_that_an_exception_handler_keeps_goes_too(loop):
    kept = []
    loop.set_exception_handler(lambda loop, context: kept.append(context))

    def make():
        keeper = Keeper()

        def fail():
            raise ValueError(keeper)

        loop.call_soon(fail)
        turn(loop)
        keeper.context = kept.pop()
        return keeper

    assert collected(make)


def test_what_waits_is_no_garbage(loop):
    """Young or old, and also where a thousand wait."""
    keepers = [Keeper() for _ in range(1000)]
    found = [weakref.ref(keeper) for keeper in keepers]
    for keeper in keepers:
        loop.call_soon(keeper.call, [keeper])
    del keeper, keepers
    for generation in (0, 1, 2):
        gc.collect(generation)
    assert all(keeper() is not None for keeper in found)
    turn(loop)
    gc.collect()
    assert all(keeper() is None for keeper in found)
