"""The user's descriptors: what ``add_reader`` and ``sock_*`` calls wait at."""

import socket
import weakref

from .handles cimport Handle
from .poller cimport Watcher
from .syscalls cimport *


cdef class Descriptor(Watcher):
    """A descriptor of the user's: a handle for each direction, and the futures of ``sock_*`` calls.

    For handles epoll is level-triggered. For futures alone it reports edges, and the registration
    stays: the calls try before they wait. It is trusted as long as the socket object lives and has
    its number, which the next call checks.
    """

    cdef int on_ready(self, uint32_t events) except -1:
        cdef Handle reader = self.reader, writer = self.writer
        if reader is not None and events & (EPOLLIN | EPOLLERR | EPOLLHUP):
            if reader._cancelled:
                self.loop._remove_reader(self.fd)
            else:
                self.loop.run_watched(reader)
        if writer is not None and writer is self.writer and events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
            if writer._cancelled:
                self.loop._remove_writer(self.fd)
            else:
                self.loop.run_watched(writer)
        if self.owner is not None:
            self.note(events)
        return 0

    cdef int update(self) except -1:
        cdef uint32_t interest = 0
        if self.reader is not None or self.writer is not None:
            if self.reader is not None or self.readers:
                interest |= EPOLLIN
            if self.writer is not None or self.writers:
                interest |= EPOLLOUT
        elif self.owner is not None:
            interest = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET
        if interest == 0:
            self.poller.unwatch(self)
        else:
            self.poller.watch(self, interest)
        return 0

    cdef int note(self, uint32_t events) except -1:
        if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.ended = True
        if events & EPOLLPRI:
            self.stream = False  # the urgent mark ends a read early
        if events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.readable = True
            wake(self.readers)
        if events & (EPOLLOUT | EPOLLHUP | EPOLLERR):
            wake(self.writers)
        if self.watched and (self.reader is not None or self.writer is not None):
            try:
                self.update()
            except OSError:  # closed by one of the callbacks: whoever waits may meet that
                self.poller.forget(self)
                wake(self.readers)
                wake(self.writers)
        return 0

    def own(self, sock):
        """Serve the ``sock_*`` calls on this socket from now on."""
        if self.owner is not None:  # another object of the same number: its calls look again
            wake(self.readers)
            wake(self.writers)
        self.owner = weakref.ref(sock)
        self.readers, self.writers = [], []
        self.readable, self.ended = True, False
        self.stream = sock.type == socket.SOCK_STREAM and sock.family in (AF_INET, AF_INET6)
        self.poller.forget(self)  # the number may be a new file by now
        self.update()

    cpdef bint serves(self, sock) except -1:
        """Whether it waits for just this socket."""
        return self.owner is not None and self.owner() is sock

    cpdef took(self, Py_ssize_t count, Py_ssize_t wanted):
        """A read found that much."""
        if 0 < count < wanted and self.stream and not self.ended:
            self.readable = False

    cpdef wait_readable(self):
        """A future for when a read may find something."""
        self.readable = self.ended
        return self.wait(self.readers)

    cpdef wait_writable(self):
        """A future for when a write may find room."""
        return self.wait(self.writers)

    cdef object wait(self, list waiting):
        future = self.loop.create_future()
        if waiting:
            waiting[:] = [other for other in waiting if not other.done()]
        waiting.append(future)
        if self.reader is not None or self.writer is not None:
            self.update()
        return future

    # --- add_reader and its kin ---

    cdef Handle read_by(self, Handle handle):
        cdef Handle former = self.reader
        self.reader = handle
        return self.replaced(former, handle)

    cdef Handle written_by(self, Handle handle):
        cdef Handle former = self.writer
        self.writer = handle
        return self.replaced(former, handle)

    cdef Handle replaced(self, Handle former, Handle handle):
        if former is not None:
            former.cancel()
        # The number may be a new file by now: only the kernel knows.
        self.poller.forget(self)
        self.update()
        return handle

    cdef bint read_by_none(self) except -1:
        """Whether there was a reader."""
        cdef Handle former = self.reader
        self.reader = None
        return self.dropped(former)

    cdef bint written_by_none(self) except -1:
        cdef Handle former = self.writer
        self.writer = None
        return self.dropped(former)

    cdef bint dropped(self, Handle former) except -1:
        if former is None:
            return False
        former.cancel()
        self.update()
        return True


cdef int wake(list waiting) except -1:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()
    return 0


cdef int as_descriptor(object fileobj) except -1:
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd
