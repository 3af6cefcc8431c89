"""Readiness through ``selectors``: epoll, kqueue, poll or select, whichever the platform has.

Descriptors are removed from the set before they are closed; an event belongs to the watcher that
was registered when the selector reported it, and is dropped when that one has left meanwhile.

Interest is lazy: a watcher that wants less leaves the registration as it is until an event that it does
not want any more is over. Pausing and resuming between two events costs no system call.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..limits import EVENTS_PER_POLL, HOLD_TIME, LONGEST_WAIT

EVENT_READ = selectors.EVENT_READ
EVENT_WRITE = selectors.EVENT_WRITE

# Interest in every change of readiness, each reported once; epoll alone has that.
EVENT_EDGES = 4

# No event: the descriptor is none any more, which makes select() refuse all the others too.
GONE = 8

# Of epoll where there is one. PyPy's select module does not name the third.
EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET = 0x1, 0x4, 0x2000, 0x8000_0000

# Met by a child process that goes on in the loop in which it was forked.
CLOSED = "the event loop's poller is closed: a forked process needs a loop of its own"

# The shortest wait that epoll and poll can express, in seconds.
MILLISECOND = 0.001


class Watcher:
    """One descriptor's interest in the selector's events."""

    if not TYPE_CHECKING:  # a subclass has the slots: two bases with some cannot meet in a Connection
        __slots__ = ()

    fd: int  # -1 once closed
    interest: int  # the events that the selector was asked for
    watched: bool  # is registered

    def on_ready(self, events: int) -> None:
        raise NotImplementedError

    def on_gone(self) -> None:
        """The descriptor was closed behind our back, and is not watched any more."""

    def flush(self) -> None:
        raise NotImplementedError


Ready = list[tuple[Watcher, int]]


class Poller:
    """Waits for events and hands them to the watchers."""

    def __init__(self, selector: selectors.BaseSelector, wake: Callable[[], None]) -> None:
        self.selector = selector
        self.wake = wake  # ends a wait, from any thread
        self.debugging = False  # slow callbacks are looked for
        self.sleeping = False  # a thread that leaves something to do must wake the poller
        self.watchers: dict[int, Watcher] = {}  # by descriptor
        self.left: Ready = []  # of a batch in which an exception was raised
        self.held: list[Watcher] = []  # with writes to flush before the next wait
        self.since = 0.0  # when the first of them came, in a crowd
        self.crowded = False  # the last wait brought several events: what is written leaves together
        self.running = False  # somebody will wait, and flush before
        self.sending = False  # what is held, one after the other
        self.arena: memoryview | None = None  # what datagrams are read into; None until one is
        self.iteration = 0  # waits so far: tells two writes of one iteration
        self.epoll = _epoll_of(selector)
        self.select = self._select if self.epoll is None else self._poll_epoll
        self.precise = self.epoll is not None and self.epoll.fileno() < 1024  # for select()

    @property
    def backend(self) -> str:
        """The kernel's facility, for ``python -m cyreactor info``."""
        return type(self.selector).__name__

    def watcher(self, fd: int) -> Watcher | None:
        """Who watches the descriptor; None where nobody does."""
        return self.watchers.get(fd)

    def all_watchers(self) -> list[Watcher]:
        """Everybody who watches a descriptor now."""
        return list(self.watchers.values())

    def close(self) -> None:
        """Give the descriptors back; watchers hear nothing more."""
        for watcher in self.all_watchers():
            watcher.watched = False
        self.watchers.clear()
        self.held.clear()
        self.left.clear()
        self.precise = False
        self.select = self._refuse
        self.selector.close()

    def watch(self, watcher: Watcher, interest: int) -> None:
        """Have ``interest`` reported, and tell the selector only what it does not know."""
        if watcher.watched and watcher.interest == EVENT_EDGES:
            self.unwatch(watcher)
        if not watcher.watched:
            self._register(watcher, interest)
        elif watcher.interest != interest:
            self.selector.modify(watcher.fd, interest)
        watcher.interest = interest

    def _register(self, watcher: Watcher, interest: int) -> None:
        former = self.watchers.get(watcher.fd)
        if former is not None:  # its descriptor was closed behind our back, and the number reused
            self.unwatch(former)
        self.selector.register(watcher.fd, interest)
        self.watchers[watcher.fd] = watcher
        watcher.watched = True

    def watch_edges(self, watcher: Watcher) -> bool:
        """Have each change of readiness reported once; false where only epoll could."""
        if self.epoll is None:
            return False
        if watcher.watched and watcher.interest == EVENT_EDGES:
            return True
        self.unwatch(self.watchers.get(watcher.fd, watcher))
        events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        try:
            self.epoll.register(watcher.fd, events)
        except FileExistsError:
            self.epoll.modify(watcher.fd, events)
        self.watchers[watcher.fd] = watcher
        watcher.watched, watcher.interest = True, EVENT_EDGES
        return True

    def unwatch(self, watcher: Watcher) -> None:
        if not watcher.watched:
            return
        watcher.watched = False
        del self.watchers[watcher.fd]
        forget = self.epoll.unregister if watcher.interest == EVENT_EDGES else self.selector.unregister
        try:
            forget(watcher.fd)
        except (OSError, KeyError):
            pass  # closed by its owner, which removes it

    def hold(self, watcher: Watcher) -> None:
        """Flush the watcher before the next wait, or sooner: see ``relieve``."""
        if self.crowded and not self.held:
            self.since = time.monotonic()
        self.held.append(watcher)
        if not self.running:  # nobody would come by, but for who is called while another one is flushed
            if not self.sending:
                self.flush()
        elif self.sleeping:  # a write from another thread: no place for it, but it must not get stuck
            self.wake()

    def flush(self) -> None:
        """Send what was held: nothing queued survives into a wait that may block."""
        done = 0
        self.sending = True
        try:
            while done < len(self.held):
                done += 1
                self.held[done - 1].flush()
        finally:
            self.sending = False
            del self.held[:done]

    def relieve(self) -> None:
        """Between two callbacks of a crowded iteration: nobody waits long for the others."""
        if self.held and time.monotonic() - self.since > HOLD_TIME:
            self.flush()

    def wait(self, timeout: float) -> Ready:
        """Wait at most ``timeout`` seconds (below zero: until something happens); what is ready.

        An exception may have left some of the last batch. They come first: edges come only once.
        Who is ready is looked up before anybody's callback may close a descriptor and reuse its number.
        """
        self.iteration += 1
        if self.left:
            left, self.left = self.left, []
            return left
        self.sleeping = timeout != 0
        if timeout > 0:
            timeout = self._wait_precisely(min(timeout, LONGEST_WAIT))
        ready = self.select(timeout)
        self.sleeping = False
        self.crowded = len(ready) > 1
        return ready

    def dispatch(self, ready: Ready) -> None:
        """Hand the events of a wait to their watchers."""
        done = 0
        try:
            for watcher, events in ready:
                done += 1
                if watcher.watched:
                    watcher.on_ready(events)
                    if self.crowded:
                        self.relieve()
                elif events == GONE:
                    watcher.on_gone()
        except BaseException:
            self.left = ready[done:]
            raise
        if self.crowded:
            self.flush()

    def _select(self, timeout: float) -> Ready:
        watchers = self.watchers
        try:
            ready = self.selector.select(None if timeout < 0 else timeout)
        except (OSError, ValueError) as exc:
            return self._give_up_closed(exc)
        return [(watchers[key.fd], events) for key, events in ready if key.fd in watchers]

    def _give_up_closed(self, error: Exception) -> Ready:
        """Part with whom select() cannot watch. Raises its error where that is nobody."""
        gone = [watcher for watcher in self.all_watchers() if not _can_select(watcher.fd)]
        if not gone:
            raise error
        for watcher in gone:
            self.unwatch(watcher)
        return [(watcher, GONE) for watcher in gone]

    def _poll_epoll(self, timeout: float) -> Ready:
        watchers = self.watchers
        ready = self.epoll.poll(timeout, EVENTS_PER_POLL)
        return [
            (watchers[fd], EVENT_READ if events == EPOLLIN else _from_epoll(events))
            for fd, events in ready
            if fd in watchers
        ]

    def _refuse(self, timeout: float) -> Ready:
        raise RuntimeError(CLOSED)

    def _wait_precisely(self, timeout: float) -> float:
        """What is left to wait for the selector: whole milliseconds, or nothing more."""
        if not self.precise:
            return timeout
        if timeout >= 2 * MILLISECOND:
            return timeout - MILLISECOND
        select.select([self.epoll], [], [], timeout)
        return 0


def _can_select(fd: int) -> bool:
    try:
        select.select([fd], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


def _epoll_of(selector: selectors.BaseSelector) -> Any:
    """The selector's own epoll object, to poll without a detour; None for any other selector."""
    found = getattr(selector, "_selector", None)
    return found if type(selector).__name__ == "EpollSelector" and hasattr(found, "poll") else None


def _from_epoll(events: int) -> int:
    """A hang-up or an error lets whoever waits for anything go on, and meet it."""
    return (EVENT_READ if events & ~EPOLLOUT else 0) | (EVENT_WRITE if events & ~EPOLLIN else 0)
