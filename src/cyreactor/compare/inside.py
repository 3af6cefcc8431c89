"""What a loop does without any connection: measured in its own process, by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BATCH = 1000  # operations in one iteration of the loop


def nothing() -> None:
    pass


class Turns:
    """Calls ``work`` once an iteration until the time is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], object], seconds: float) -> None:
        self.loop, self.work = loop, work
        self.count = 0
        self.done = loop.create_future()
        self.end = time.perf_counter() + seconds

    def turn(self) -> None:
        if time.perf_counter() >= self.end:
            self.done.set_result(None)
            return
        self.work()
        self.count += BATCH
        self.loop.call_soon(self.turn)


def call_soon(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(BATCH):
        loop.call_soon(nothing)


def timers(loop: asyncio.AbstractEventLoop) -> None:
    """A timeout is set, and the work is done before: the usual fate of a timer."""
    for _ in range(BATCH):
        loop.call_later(30.0, nothing).cancel()


def threadsafe(loop: asyncio.AbstractEventLoop) -> None:
    """From the loop's own thread, as libraries do that do not know where they are called."""
    for _ in range(BATCH):
        loop.call_soon_threadsafe(nothing)


async def breathe() -> None:
    await asyncio.sleep(0)


def tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Each is begun, lets the others go first, and ends."""
    for _ in range(BATCH):
        loop.create_task(breathe())


WORK: dict[str, Callable[[asyncio.AbstractEventLoop], None]] = {
    "call_soon": call_soon, "timers": timers, "threadsafe": threadsafe, "tasks": tasks,
}  # fmt: skip


def measure(loop: asyncio.AbstractEventLoop, name: str, seconds: float) -> tuple[int, float, float]:
    """Operations, seconds they took, and CPU seconds used for them."""
    started, cpu = time.perf_counter(), time.process_time()
    turns = Turns(loop, lambda: WORK[name](loop), seconds)
    loop.call_soon(turns.turn)
    loop.run_until_complete(turns.done)
    return turns.count, time.perf_counter() - started, time.process_time() - cpu
