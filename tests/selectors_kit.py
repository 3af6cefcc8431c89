"""The pure core on other selectors than the platform's own: select, poll, and kqueue.

Linux has no kqueue. Here ``KqueueSelector`` of the standard library runs on one that epoll plays: what it
takes and what it gives are kqueue's, two filters for one descriptor, each reported on its own.
"""

from __future__ import annotations

import errno
import importlib.util
import select
import selectors
import sys
from types import SimpleNamespace

READ, WRITE = -1, -2  # EVFILT_READ, EVFILT_WRITE
ADD, DELETE, EOF = 0x1, 0x2, 0x8000


class kevent:
    def __init__(self, ident, filter=READ, flags=ADD):
        self.ident = ident if isinstance(ident, int) else ident.fileno()
        self.filter = filter
        self.flags = flags


class kqueue:
    def __init__(self):
        self.epoll = select.epoll()
        self.filters = {}  # those of each descriptor
        self.fileno = self.epoll.fileno
        self.close = self.epoll.close

    def control(self, changes, max_events, timeout=None):
        for change in changes or ():
            self.change(change)
        if not max_events:
            return []
        happened = self.epoll.poll(-1 if timeout is None else timeout, max_events)
        return [event for fd, events in happened for event in self.events(fd, events)][:max_events]

    def change(self, change):
        fd, filters = change.ident, self.filters.get(change.ident, set())
        if change.flags & DELETE and change.filter not in filters:
            raise OSError(errno.ENOENT, "no such filter")
        wanted = filters - {change.filter} if change.flags & DELETE else filters | {change.filter}
        mask = (select.EPOLLIN if READ in wanted else 0) | (select.EPOLLOUT if WRITE in wanted else 0)
        self.filters.pop(fd, None)
        if not wanted:
            self.epoll.unregister(fd)
            return
        try:
            self.epoll.modify(fd, mask)
        except FileNotFoundError:  # new, or closed and reused: a kqueue forgets a descriptor that is closed
            self.epoll.register(fd, mask)
        self.filters[fd] = wanted

    def events(self, fd, events):
        """An end or an error is reported by each filter."""
        ended = events & (select.EPOLLHUP | select.EPOLLERR)
        for filter in sorted(self.filters.get(fd, ())):
            if ended or events & (select.EPOLLIN if filter == READ else select.EPOLLOUT):
                yield kevent(fd, filter, EOF if ended else 0)


def kqueue_selector():
    """The standard library's KqueueSelector, as it is where ``select`` has a kqueue; None without epoll."""
    if not hasattr(select, "epoll"):
        return None
    played = SimpleNamespace(
        **vars(select), kqueue=kqueue, kevent=kevent,
        KQ_FILTER_READ=READ, KQ_FILTER_WRITE=WRITE, KQ_EV_ADD=ADD, KQ_EV_DELETE=DELETE,
    )  # fmt: skip
    spec = importlib.util.spec_from_file_location("selectors_with_kqueue", selectors.__file__)
    module = importlib.util.module_from_spec(spec)
    before, sys.modules["select"] = sys.modules["select"], played
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["select"] = before
    return module.KqueueSelector


def other_selectors():
    """By name, all that there are, the platform's own excepted."""
    found = {
        "select": selectors.SelectSelector,
        "poll": getattr(selectors, "PollSelector", None),
        "kqueue": getattr(selectors, "KqueueSelector", None) or kqueue_selector(),
    }
    own = selectors.DefaultSelector
    return {name: selector for name, selector in found.items() if selector and selector is not own}
