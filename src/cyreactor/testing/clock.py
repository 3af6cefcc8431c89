"""A reactor whose clock the test moves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from ..limits import ITERATIONS_TO_REST
from ..reactor import Reactor
from .memory import running

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A sum of seconds may miss a deadline that is the same sum made otherwise by less than this.
TOLERANCE = 1e-9

FOREVER = -1.0


class TestReactor(Reactor):
    """A Reactor on which time passes only when the test says so, or when nobody has anything else to do.

    Between its iterations ``advance`` moves the clock. While it runs (``run``, ``run_until_complete``)
    the clock jumps to the next timer as soon as all callbacks have run and the kernel has no event:
    ``asyncio.sleep(3600)`` is over at once, and a timeout fires just when nothing came. It stands still
    while a call of ``run_in_executor`` is under way; other threads, and other processes, it does not
    know: with them use ``jumps=False``, where only ``advance`` moves the clock.

    ``now`` is what ``time()`` says at first, in seconds, not negative.
    """

    __test__ = False  # not a test of pytest's

    def __init__(self, selector: Any = None, *, now: float = 0.0, jumps: bool = True) -> None:
        if not 0 <= now < math.inf:
            raise ValueError(f"the clock starts at 0 or later, not at {now!r}")
        super().__init__(selector)
        self._manual_time = now
        self._jumps = jumps
        self._jobs: set[asyncio.Future[Any]] = set()  # under way in other threads

    def advance(self, seconds: float) -> None:
        """Let so much time pass: run what comes due on the way, each at its own time, and what follows.

        Raises RuntimeError in a callback or a coroutine of this reactor, ValueError for a negative time.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"time goes forward, not by {seconds!r} seconds")
        end = self._manual_time + seconds
        self.settle()
        while (due := self._next_due()) <= end + TOLERANCE:
            self._manual_time = max(self._manual_time, due)
            self.settle()
        self._manual_time = max(self._manual_time, end)
        self.settle()

    def settle(self) -> None:
        """Run, without letting time pass, until no call is due and the kernel has no event.

        Raises RuntimeError in a callback, and where no rest comes: each iteration schedules another.
        """
        for _ in range(ITERATIONS_TO_REST):
            if self._rests(self._step):
                return
        raise RuntimeError(f"no rest in {ITERATIONS_TO_REST} iterations: something schedules itself for ever")

    def call(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call a function as a callback is called: this reactor is the running loop meanwhile.

        So are made protocols that ask for the running loop: ``reactor.call(MyProtocol)``.
        """
        with running(self):
            return function(*args)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """See ``asyncio.loop.run_in_executor``; the clock stands still until it is done."""
        job = super().run_in_executor(executor, func, *args)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    def _run_once(self) -> None:
        """One iteration of ``run_forever``; with nothing to do, jump or wait."""
        if self._rests(self._iterate) and not self._stopping:
            due = self._next_due()
            if due < math.inf and self._jumps and not self._jobs:
                self._manual_time = due
            else:
                self._iterate(FOREVER)
        if self._stopping:
            self._poller.flush()

    def _rests(self, iterate: Callable[[float], int]) -> bool:
        """Whether one iteration, which does not wait, found nothing at all to do.

        One that ran a call tells nothing: the kernel was asked before it.
        """
        busy = self._next_due() <= self._manual_time
        return not iterate(0.0) and not busy and self._next_due() > self._manual_time
