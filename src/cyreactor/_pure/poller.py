"""Readiness through ``selectors``: epoll, kqueue, poll or select, whichever the platform has.

Descriptors are removed from the set before they are closed; an event belongs to the watcher that
was registered when the selector reported it, and is dropped when that one has left meanwhile.

Interest is lazy: a watcher that wants less leaves the registration as it is until an event comes
that nobody wants. Pausing and resuming between two events costs no system call.
"""

from __future__ import annotations

import select
import selectors

from ..limits import LONGEST_WAIT

EVENT_READ = selectors.EVENT_READ
EVENT_WRITE = selectors.EVENT_WRITE

# The shortest wait that epoll and poll can express, in seconds.
MILLISECOND = 0.001


class Watcher:
    """One descriptor's interest in the selector's events."""

    fd: int = -1  # -1 once closed
    interest: int = 0  # the events that the selector was asked for
    watched: bool = False  # is registered

    def on_ready(self, events: int) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError


class Poller:
    """Waits for events and hands them to the watchers."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector = selector
        self.held: list[Watcher] = []  # with writes to flush before the next wait
        self.iteration = 0  # flushes so far: tells two writes of one iteration
        self.precise = _finer_wait(selector)

    @property
    def backend(self) -> str:
        """The kernel's facility, for ``python -m cyreactor info``."""
        return type(self.selector).__name__

    def watcher(self, fd: int) -> Watcher | None:
        """Who watches the descriptor; None where nobody does."""
        key = self.selector.get_map().get(fd)
        return None if key is None else key.data

    def all_watchers(self) -> list[Watcher]:
        """Everybody who watches a descriptor now."""
        return [key.data for key in (self.selector.get_map() or {}).values()]

    def close(self) -> None:
        """Give the descriptors back; watchers hear nothing more."""
        for watcher in self.all_watchers():
            watcher.watched = False
        self.held.clear()
        self.selector.close()

    def watch(self, watcher: Watcher, interest: int) -> None:
        """Have ``interest`` reported, and tell the selector only what it does not know."""
        if not watcher.watched:
            self._register(watcher, interest)
        elif watcher.interest != interest:
            self.selector.modify(watcher.fd, interest, watcher)
        watcher.interest = interest

    def _register(self, watcher: Watcher, interest: int) -> None:
        former = self.watcher(watcher.fd)
        if former is not None:  # its descriptor was closed behind our back, and the number reused
            self.unwatch(former)
        self.selector.register(watcher.fd, interest, watcher)
        watcher.watched = True

    def unwatch(self, watcher: Watcher) -> None:
        if watcher.watched:
            watcher.watched = False
            self.selector.unregister(watcher.fd)

    def hold(self, watcher: Watcher) -> None:
        self.held.append(watcher)

    def flush(self) -> None:
        """Send what was held: nothing queued survives into a wait that may block."""
        self.iteration += 1
        done = 0
        try:
            while done < len(self.held):
                done += 1
                self.held[done - 1].flush()
        finally:
            del self.held[:done]

    def poll(self, timeout: float | None) -> None:
        """Wait at most ``timeout`` seconds (None: until something happens) and dispatch."""
        if timeout is not None and timeout > 0:
            timeout = self._wait_precisely(min(timeout, LONGEST_WAIT))
        for key, events in self.selector.select(timeout):
            watcher = key.data
            if watcher.watched and watcher.fd == key.fd:
                watcher.on_ready(events)

    def _wait_precisely(self, timeout: float) -> float:
        """What is left to wait for the selector: whole milliseconds, or nothing more."""
        if self.precise is None:
            return timeout
        if timeout >= 2 * MILLISECOND:
            return timeout - MILLISECOND
        select.select([self.precise], [], [], timeout)
        return 0


def _finer_wait(selector: selectors.BaseSelector) -> int | None:
    """A selector that counts in milliseconds but has a descriptor can be waited for by select()."""
    if type(selector).__name__ not in ("EpollSelector", "DevpollSelector"):
        return None
    fd: int = selector.fileno()  # type: ignore[attr-defined]
    return fd if fd < 1024 else None
