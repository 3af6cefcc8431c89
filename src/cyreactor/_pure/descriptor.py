"""The user's descriptors: what ``add_reader`` and ``sock_*`` calls wait at."""

from __future__ import annotations

import asyncio
import copy
import socket
import weakref
from typing import Any

from .poller import EVENT_EDGES, EVENT_READ, EVENT_WRITE, Poller, Watcher


class Descriptor(Watcher):
    """A descriptor of the user's: a handle for each direction, and the futures of ``sock_*`` calls.

    For handles the selector is level-triggered. For futures alone epoll reports edges, and the
    registration stays: the calls try before they wait. It is trusted as long as the socket object
    lives and has its number, which the next call checks. Other selectors watch only while one waits.
    """

    readable = True  # a read may find something: without the kernel's word on the end, always try

    def __init__(self, loop: Any, poller: Poller, fd: int) -> None:
        self.loop = loop
        self.poller = poller
        self.fd = fd
        self.interest, self.watched = 0, False
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None
        self.owner: weakref.ref[socket.socket] | None = None  # whose sock_ calls wait here
        self.readers: list[asyncio.Future[None]] = []  # their futures
        self.writers: list[asyncio.Future[None]] = []

    def on_ready(self, events: int) -> None:
        reader, writer = self.reader, self.writer
        if reader is not None and events & EVENT_READ:
            if reader._cancelled:
                self.loop._remove_reader(self.fd)
            else:
                self.loop._run_watched(reader)
        if writer is not None and writer is self.writer and events & EVENT_WRITE:
            if writer._cancelled:
                self.loop._remove_writer(self.fd)
            else:
                self.loop._run_watched(writer)
        if self.owner is not None:
            self._note(events)

    def on_gone(self) -> None:
        _wake(self.readers)  # their calls meet the error; handles are not run, as on epoll
        _wake(self.writers)

    def update(self) -> None:
        interest = EVENT_READ if self.reader or self.readers else 0
        if self.writer or self.writers:
            interest |= EVENT_WRITE
        if self.owner is not None and not (self.reader or self.writer) and self.poller.watch_edges(self):
            return
        if interest:
            self.poller.watch(self, interest)
        else:
            self.poller.unwatch(self)

    def _note(self, events: int) -> None:
        if events & EVENT_READ:
            _wake(self.readers)
        if events & EVENT_WRITE:
            _wake(self.writers)
        if self.watched and self.interest != EVENT_EDGES:
            try:
                self.update()
            except (OSError, KeyError, ValueError):  # closed by a callback: whoever waits may meet that
                self.poller.unwatch(self)
                _wake(self.readers)
                _wake(self.writers)

    def own(self, sock: socket.socket) -> None:
        """Serve the ``sock_*`` calls on this socket from now on."""
        _wake(self.readers)  # of another object of the same number: its calls look again
        _wake(self.writers)
        self.owner = weakref.ref(sock)
        self.readers, self.writers = [], []
        self.poller.unwatch(self)  # the number may be a new file by now
        self.update()

    def serves(self, sock: socket.socket) -> bool:
        """Whether it waits for just this socket."""
        return self.owner is not None and self.owner() is sock

    def took(self, count: int, wanted: int) -> None:
        """A read found that much."""

    def wait_readable(self) -> asyncio.Future[None]:
        """A future for when a read may find something."""
        return self._wait(self.readers)

    def wait_writable(self) -> asyncio.Future[None]:
        """A future for when a write may find room."""
        return self._wait(self.writers)

    def _wait(self, waiting: list[asyncio.Future[None]]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.loop.create_future()
        waiting[:] = [other for other in waiting if not other.done()]
        waiting.append(future)
        if not self.watched or self.interest != EVENT_EDGES:
            self.update()
            future.add_done_callback(self._done_waiting)
        return future

    def _done_waiting(self, future: asyncio.Future[None]) -> None:
        """For selectors without edges: a cancelled call must leave no interest behind."""
        if future.cancelled() and self.watched and self.interest != EVENT_EDGES:
            self.readers = [other for other in self.readers if not other.done()]
            self.writers = [other for other in self.writers if not other.done()]
            self.update()

    # --- add_reader and its kin ---

    def read_by(self, handle: asyncio.Handle) -> asyncio.Handle:
        former, self.reader = self.reader, handle
        return self._replaced(former, handle)

    def written_by(self, handle: asyncio.Handle) -> asyncio.Handle:
        former, self.writer = self.writer, handle
        return self._replaced(former, handle)

    def _replaced(self, former: asyncio.Handle | None, handle: asyncio.Handle) -> asyncio.Handle:
        if former is not None:
            former.cancel()
        # The number may be a new file by now, and a selector trusts its own books: ask the kernel.
        # What is still to dispatch of the former file's events must not find the new one.
        self.poller.unwatch(self)
        copy.copy(self).update()
        return handle

    def read_by_none(self) -> bool:
        """Whether there was a reader."""
        former, self.reader = self.reader, None
        return self._dropped(former)

    def written_by_none(self) -> bool:
        former, self.writer = self.writer, None
        return self._dropped(former)

    def _dropped(self, former: asyncio.Handle | None) -> bool:
        if former is None:
            return False
        former.cancel()
        self.update()
        return True


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()


def as_descriptor(fileobj: Any) -> int:
    try:
        fd = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd
