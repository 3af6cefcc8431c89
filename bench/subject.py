"""A loop that does what it is told, so that another program counts its instructions or system calls.

``subject.py LOOP [MARKS]`` reads commands, a line each, with tabs between the words, and answers each with
a line. The loop is one that servers.py knows; MARKS is the library of marks.c, under callgrind.

* ``serve WORKLOAD`` begins to serve, see servers.py; the answer is the port
* ``work NAME COUNT`` does something so many times, see below
* ``begin`` and ``end NAME`` enclose what callgrind shall count
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import os
import struct
import sys
import threading
import time
from functools import partial

from servers import run_on, start

BATCH = 100  # calls in one iteration of the loop
nothing = [].clear


class Subject:
    def __init__(self, loop, marks):
        self.loop = loop
        self.marks = marks and ctypes.CDLL(marks)
        self.over = loop.create_future()
        self.tasks = []
        loop.add_reader(0, self.read)

    def read(self):
        line = os.read(0, 4096).decode()  # one command: the next one comes after the answer
        if not line:
            self.loop.remove_reader(0)
            self.over.set_result(None)
            return
        command, *words = line.rstrip("\n").split("\t")
        getattr(self, command)(*words)

    def serve(self, workload):
        self.later(start(workload))

    def work(self, name, count):
        self.later(WORK[name](self.loop, int(count)))

    def later(self, coroutine):
        self.tasks = [self.loop.create_task(coroutine)]
        self.tasks[0].add_done_callback(lambda done: answer(done.result()))

    def begin(self):
        self.marks.mark_begin()
        answer()

    def end(self, name):
        self.marks.mark_end(name.encode())
        answer()


def answer(what="done"):
    os.write(1, f"{what}\n".encode())


# --- what a loop does by itself ---


async def in_batches(operate, loop, count):
    """Some operations an iteration."""
    over = loop.create_future()

    def turn(left):
        for _ in range(BATCH):
            operate(loop)
        if left > BATCH:
            loop.call_soon(turn, left - BATCH)
        else:
            over.set_result(None)

    loop.call_soon(turn, count)
    await over


def call_soon(loop):
    loop.call_soon(nothing)


def cancelled_timer(loop):
    loop.call_later(30.0, nothing).cancel()


def call_soon_threadsafe(loop):
    """From the loop's own thread."""
    loop.call_soon_threadsafe(nothing)


async def tasks(loop, count):
    """A task that lets others run, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def timers(loop, count, delay=0.001):
    """One timer after another."""
    over = loop.create_future()

    def turn(left):
        if left:
            loop.call_later(delay, turn, left - 1)
        else:
            over.set_result(None)

    turn(count)
    await over


async def calls_while_awake(loop, count):
    """Another thread calls while the loop is busy with a callback."""

    def call():
        for _ in range(count):
            loop.call_soon_threadsafe(nothing)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


async def calls_while_asleep(loop, count):
    """Another thread calls each time that the loop waits, by what counter.c counts."""
    over = loop.create_future()
    waits = count_of_waits()

    def call(callback):
        nonlocal seen
        while waits() == seen:
            time.sleep(0)
        seen = waits()
        loop.call_soon_threadsafe(callback)

    def calls():
        for _ in range(count - 1):
            call(nothing)
        call(partial(over.set_result, None))

    seen = waits()
    threading.Thread(target=calls).start()
    await over


def count_of_waits():
    """What tells how often this process has begun to wait."""
    handle = os.open(os.environ["COUNTER_FILE"], os.O_RDWR)
    memory = mmap.mmap(handle, 0)
    os.close(handle)
    return lambda: struct.unpack_from("Q", memory, 2 * 8)[0]


WORK = {
    "call_soon": partial(in_batches, call_soon),
    "cancelled timers": partial(in_batches, cancelled_timer),
    "call_soon_threadsafe": partial(in_batches, call_soon_threadsafe),
    "tasks": tasks,
    "timers": timers,
    "calls while awake": calls_while_awake,
    "calls while asleep": calls_while_asleep,
}


async def main():
    gc.disable()  # which would run now in one measurement and now in another
    await Subject(asyncio.get_running_loop(), sys.argv[2] if len(sys.argv) > 2 else None).over


if __name__ == "__main__":
    run_on(sys.argv[1], main())
