"""The scheduler: ready queue, timers, and the phases of an iteration.

An iteration, in this order and no other:

    1. flush      writes that were held leave, before anything may block
    2. wait       for events; not at all while something is ready or the loop is stopping: then it looks for
                  them, and where only a few callbacks have run since the last look not even that
    3. mail       what other threads scheduled is in the ready queue already: a deque is safe
    4. ready      the handles that are ready now, not those that they schedule
    5. dispatch   each event to its watcher, which calls the protocol at once
    6. timers     those that were due after the wait
    7. ready      after events only: what they made ready, for the kernel was asked just now

So everything runs in the order in which asyncio would run it, which queues 5 and 6 behind 4, and
which would ask the kernel once more before 7.
Handles, ``call_soon`` and ``call_soon_threadsafe`` are asyncio's own. Timers are not: among equal
deadlines the first come must be the first served.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import socket
import sys
import time
from asyncio import base_events, events, format_helpers
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

from .._seams import EventLoop
from ..limits import CALLBACKS_PER_POLL
from .descriptor import Descriptor, as_descriptor
from .poller import Poller, Ready

Ts = TypeVarTuple("Ts")

# Cancelled timers are swept out once there are this many and they are more than half of all.
SWEEP_AFTER = 100

FOREVER = -1.0


class Loop(EventLoop):
    """The pure scheduler under ``cyreactor.Reactor``; names and semantics are asyncio's."""

    _poller: Poller
    _unpolled = 0  # callbacks since the kernel was last asked for events
    _driven = False  # run_forever is ours: `_run_once` need not return to it
    _disowned = False  # this is a child of the process whose loop it is
    _manual_time = -1.0  # what a test has set the clock to; below zero: the kernel's is used

    # --- the seams of asyncio's own event loop ---

    def _adopt_selector(self, selector: selectors.BaseSelector | None) -> selectors.BaseSelector:
        chosen = selector or selectors.DefaultSelector()
        self._poller = Poller(chosen, self._write_to_self)
        self._timers: list[tuple[float, int, Any]] = []  # a heap
        self._timer_count = 0  # timers so far: first come, first served
        self._cancelled_timers = 0  # in the heap
        return chosen

    def _release(self) -> None:
        """Forget everything; further calls are errors."""
        self._poller.close()
        self._timers.clear()

    def _run_once(self) -> None:
        """Iterate until ``stop``: asyncio's ``run_forever`` calls this, and then finds the loop stopping.

        Once only for a program that has a ``run_forever`` of its own.
        """
        self._begin()
        try:
            while True:
                self._turn(FOREVER)
                if self._stopping or not self._driven:
                    break
        finally:
            try:
                if not self._disowned:  # a child that leaves: the rest is its parent's to send
                    self._poller.flush()
            finally:
                self._poller.running = False

    def set_debug(self, enabled: bool) -> None:
        self._poller.debugging = enabled
        super().set_debug(enabled)

    # --- scheduling ---

    def time(self) -> float:
        """The loop's clock, in seconds: ``time.monotonic``."""
        return time.monotonic() if self._manual_time < 0 else self._manual_time

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back after ``delay`` seconds, never earlier. See ``asyncio.loop.call_later``."""
        if delay is None:
            raise TypeError("delay must not be None")
        return self._schedule(self.time() + delay, callback, args, context, "call_later")

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back when ``time()`` reaches ``when``, never earlier. See ``asyncio.loop.call_at``."""
        if when is None:
            raise TypeError("when cannot be None")
        return self._schedule(when, callback, args, context, "call_at")

    def _schedule(
        self, when: float, callback: Callable[..., Any], args: Any, context: Context | None, caller: str
    ) -> asyncio.TimerHandle:
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, caller)
        if math.isnan(when):
            raise ValueError(f"{caller}() was given a time that is not a number (NaN)")
        timer: Any = events.TimerHandle(when, callback, args, self, context)
        if timer._source_traceback:
            timer._source_traceback = format_helpers.extract_stack(sys._getframe(2))
        heapq.heappush(self._timers, (when, self._timer_count, timer))
        timer._scheduled = True
        self._timer_count += 1
        made: asyncio.TimerHandle = timer
        return made

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if not handle._scheduled:
            return
        self._cancelled_timers += 1
        if self._cancelled_timers > SWEEP_AFTER and len(self._timers) < 2 * self._cancelled_timers:
            # A cancelled handle is marked only after this call.
            self._timers = [item for item in self._timers if not (item[2].cancelled() or item[2] is handle)]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    # --- the ready queue ---

    def _run_ready(self, count: int) -> None:
        ready = self._ready
        for _ in range(min(count, len(ready))):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if self._debug:
                self._run_watched(handle)
            else:
                handle._run()
            if self._poller.crowded:
                self._poller.relieve()

    def _run_watched(self, handle: asyncio.Handle) -> None:
        """Run a handle; in debug mode say when it took long."""
        if not self._debug:
            handle._run()
            return
        self._current_handle = handle
        start = self.time()
        try:
            handle._run()
        finally:
            self._current_handle = None
        elapsed = self.time() - start
        if elapsed >= self.slow_callback_duration:
            described = base_events._format_handle(handle)  # type: ignore[attr-defined]
            base_events.logger.warning(  # type: ignore[attr-defined]
                "Executing %s took %.3f seconds", described, elapsed
            )
        del handle  # a traceback that holds this frame must not hold the task

    # --- an iteration ---

    def _iterate(self, longest: float) -> int:
        """Run one iteration that waits at most so many seconds (below zero: until an event).

        Returns how many events there were.
        """
        self._begin()
        try:
            return self._turn(longest)
        finally:
            self._poller.running = False

    def _begin(self) -> None:
        if self._poller.running:  # as on the compiled core, where this would overwrite what is read
            raise RuntimeError("This event loop is already running")
        self._poller.running = True
        self._unpolled = CALLBACKS_PER_POLL  # who runs the loop wants to hear of events

    def _turn(self, longest: float) -> int:
        poller = self._poller
        if poller.held:
            poller.flush()
        if self._ready and self._looks_away():
            poller.iteration += 1
            events: Ready = []
        else:
            self._unpolled = 0
            events = poller.wait(0 if self._ready else self._patience(longest))
        ready = len(self._ready)
        due = self._expire() if self._timers else 0
        if ready:
            try:
                self._run_ready(ready)
            except BaseException:
                poller.left = events or poller.left
                raise
        if events:
            poller.dispatch(events)
        if due:
            self._run_ready(due)
        if events and self._ready and not self._stopping:
            self._run_ready(len(self._ready))
        return len(events)

    def _looks_away(self) -> bool:
        """Whether what is ready runs first: a bounded number of callbacks between two looks at the kernel."""
        count = len(self._ready)
        if self._stopping or self._unpolled + count > CALLBACKS_PER_POLL:
            return False
        self._unpolled += count
        return True

    def _next_due(self) -> float:
        """When the next scheduled call is due: below zero at once, infinity where there is none."""
        if self._ready or self._poller.held:
            return -1.0
        self._drop_cancelled()
        return self._timers[0][0] if self._timers else math.inf

    def _patience(self, longest: float) -> float:
        """How long this iteration may wait, in seconds; below zero without end."""
        if self._stopping:
            return 0
        self._drop_cancelled()
        if not self._timers:
            return longest
        wait = max(0.0, self._timers[0][0] - self.time())
        if wait and self._manual_time >= 0:  # waiting would not bring it nearer
            return longest
        return wait if longest < 0 else min(wait, longest)

    def _drop_cancelled(self) -> None:
        """See that the first timer, if there is one, is one that will run."""
        while self._timers and self._timers[0][2]._cancelled:
            heapq.heappop(self._timers)
            self._cancelled_timers -= 1

    def _expire(self) -> int:
        """Make ready what is due; how many."""
        due = 0
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            timer._scheduled = False
            if timer._cancelled:
                self._cancelled_timers -= 1
            else:
                self._ready.append(timer)
                due += 1
        return due

    # --- the user's descriptors ---

    def _readiness(self, sock: socket.socket) -> Descriptor | None:
        """What ``sock_*`` calls on this socket wait at; None where none has waited yet."""
        watcher = self._poller.watcher(sock.fileno())
        return watcher if isinstance(watcher, Descriptor) and watcher.serves(sock) else None

    def _watch_socket(self, sock: socket.socket) -> Descriptor:
        """Have ``sock_*`` calls wait for this socket. Raises RuntimeError for one of a transport's."""
        self._check_closed()
        self._ensure_fd_no_transport(sock)
        descriptor = self._descriptor(sock)
        descriptor.own(sock)
        return descriptor

    def _descriptor(self, fileobj: Any) -> Descriptor:
        """The watcher of a descriptor of the user's, an idle one where there is none."""
        fd = as_descriptor(fileobj)
        watcher = self._poller.watcher(fd)
        return watcher if isinstance(watcher, Descriptor) else Descriptor(self, self._poller, fd)

    def _add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        self._check_closed()
        return self._descriptor(fd).read_by(events.Handle(callback, args, self, None))

    def _add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        self._check_closed()
        return self._descriptor(fd).written_by(events.Handle(callback, args, self, None))

    def _remove_reader(self, fd: Any) -> bool:
        return not self.is_closed() and self._descriptor(fd).read_by_none()

    def _remove_writer(self, fd: Any) -> bool:
        return not self.is_closed() and self._descriptor(fd).written_by_none()
