"""epoll, called directly.

The kernel keys a registration on the pair (number, open file), Python programs think in numbers.
What follows from that:

- Our own descriptors are removed from the set before they are closed, always: a duplicate in
  another process would keep the registration alive, and nobody could remove it any more.
- An event carries the number and the generation of its registration. One whose generation is not
  that of the number's present watcher belongs to somebody who left earlier in the same batch.
- `watch` trusts what it told the kernel before only for descriptors that we own. One of the user's
  may have been closed and its number reused: `forget` first, and the next `watch` asks the kernel.

Interest is lazy: a watcher that wants less leaves the registration as it is until an event that it does
not want any more is over. Pausing and resuming between two events costs no system call.
"""

from selectors import EVENT_READ, EVENT_WRITE, SelectorKey

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EEXIST, EINTR, ENOENT, ENOSYS, errno

from .syscalls cimport *

from cyreactor import limits

cdef int EVENTS_PER_POLL = limits.EVENTS_PER_POLL
cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef double LONGEST_WAIT = limits.LONGEST_WAIT
cdef double HOLD_TIME = limits.HOLD_TIME

# Met by a child process that goes on in the loop in which it was forked.
cdef str CLOSED = "the event loop's poller is closed: a forked process needs a loop of its own"


cdef class Watcher:
    """One descriptor's interest in the kernel's events."""

    def __cinit__(self, *args, **kwargs):
        self.fd = -1

    cdef int on_ready(self, uint32_t events) except -1:
        return 0

    cdef int flush(self) except -1:
        return 0


cdef class Poller:
    """Waits for events and hands them to the watchers."""

    def __cinit__(self):
        self.epoll = self.waker = -1
        self.watchers = []
        self.held = []
        self.events = <epoll_event*> PyMem_Malloc(EVENTS_PER_POLL * sizeof(epoll_event))
        self.scratch = <char*> PyMem_Malloc(READ_SIZE)
        if self.events == NULL or self.scratch == NULL:
            raise MemoryError
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            PyErr_SetFromErrno(OSError)
        self.waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.waker < 0:
            PyErr_SetFromErrno(OSError)
        self.precise = has_epoll_pwait2(self.epoll, self.events)
        if control(self.epoll, EPOLL_CTL_ADD, self.waker, EPOLLIN | EPOLLET, 0) < 0:
            PyErr_SetFromErrno(OSError)

    def __dealloc__(self):
        close_all(self.epoll, self.waker)
        PyMem_Free(self.events)
        PyMem_Free(self.scratch)
        PyMem_Free(self.second)

    @property
    def backend(self):
        """The kernel's facility, for ``python -m cyreactor info``."""
        return "epoll_pwait2" if self.precise else "epoll_wait"

    cpdef watcher(self, int fd):
        """Who watches the descriptor; None where nobody does."""
        return self.watchers[fd] if 0 <= fd < len(self.watchers) else None

    def all_watchers(self):
        """Everybody who watches a descriptor now."""
        return [watcher for watcher in self.watchers if watcher is not None]

    def get_key(self, fileobj):
        """What asyncio asks a selector for; raises KeyError where nobody watches the descriptor."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        cdef Watcher watcher = self.watcher(fd)
        if watcher is None or watcher.interest & EPOLLET:  # that one is kept without anybody waiting
            raise KeyError(f"{fileobj!r} is not registered")
        cdef int read = EVENT_READ if watcher.interest & EPOLLIN else 0
        cdef int write = EVENT_WRITE if watcher.interest & EPOLLOUT else 0
        return SelectorKey(fileobj, fd, read | write, None)

    def close(self):
        """Give the descriptors back; watchers hear nothing more."""
        for watcher in self.all_watchers():
            (<Watcher> watcher).watched = False
        self.watchers.clear()
        self.held.clear()
        self.at = self.count = 0
        close_all(self.epoll, self.waker)
        self.epoll = self.waker = -1

    cdef int watch(self, Watcher watcher, uint32_t interest) except -1:
        """Have the kernel report `interest`, and tell it only what it does not know."""
        cdef int fd = watcher.fd
        if watcher.watched:
            if watcher.interest == interest:
                return 0
            if control(self.epoll, EPOLL_CTL_MOD, fd, interest, watcher.generation) < 0:
                if errno != ENOENT or add_or_modify(self.epoll, fd, interest, watcher.generation) < 0:
                    PyErr_SetFromErrno(OSError)
        else:
            self.generation = self.generation + 1 or 1
            watcher.generation = self.generation
            if add_or_modify(self.epoll, fd, interest, watcher.generation) < 0:
                PyErr_SetFromErrno(OSError)
            while len(self.watchers) <= fd:
                self.watchers.append(None)
            self.forget(self.watchers[fd])
            self.watchers[fd] = watcher
            watcher.watched = True
        watcher.interest = interest
        return 0

    cdef int unwatch(self, Watcher watcher) except -1:
        if watcher.watched:
            control(self.epoll, EPOLL_CTL_DEL, watcher.fd, 0, 0)
            self.forget(watcher)
        return 0

    cdef int forget(self, Watcher watcher) except -1:
        """Take the watcher off the books without a word to the kernel."""
        if watcher is not None and watcher.watched:
            watcher.watched = False
            if self.watchers[watcher.fd] is watcher:
                self.watchers[watcher.fd] = None
        return 0

    cdef char* lend(self) except NULL:
        """As much memory as `scratch` once more, for what is made of it, until the next callback."""
        if self.second == NULL:
            self.second = <char*> PyMem_Malloc(READ_SIZE)
            if self.second == NULL:
                raise MemoryError
        return self.second

    cdef int hold(self, Watcher watcher) except -1:
        """Flush the watcher before the next wait, or sooner: see `relieve`."""
        if self.crowded and not self.held:
            self.since = monotonic()
        self.held.append(watcher)
        if not self.running:  # nobody would come by, but for who is called while another one is flushed
            return 0 if self.sending else self.send_held()
        if self.sleeping:  # a write from another thread: no place for it, but it must not get stuck
            self.wake()
        return 0

    cpdef int flush(self) except -1:
        """Send what was held: nothing queued survives into a wait that may block."""
        self.iteration += 1
        return self.send_held() if self.held else 0

    cdef int send_held(self) except -1:
        cdef Py_ssize_t done = 0
        self.sending = True
        try:
            while done < len(self.held):
                done += 1
                (<Watcher> self.held[done - 1]).flush()
        finally:
            self.sending = False
            del self.held[:done]
        return 0

    cdef int relieve(self) except -1:
        """Between two callbacks of a crowded iteration: nobody waits long for the others."""
        return self.send_held() if self.held and monotonic() - self.since > HOLD_TIME else 0

    cdef int wait(self, double timeout) except -1:
        """Wait at most `timeout` seconds (below zero: until something happens); how many events came.

        An exception may have left some of the last batch. They come first: edges come only once.
        """
        cdef int count
        if self.at < self.count:
            self.sleeping = False
            return self.count - self.at
        if timeout == 0:
            count = epoll_wait(self.epoll, self.events, EVENTS_PER_POLL, 0)
        elif timeout < 0:
            with nogil:
                count = epoll_wait(self.epoll, self.events, EVENTS_PER_POLL, -1)
        else:
            timeout = min(timeout, LONGEST_WAIT)
            with nogil:
                count = wait_for(self.epoll, self.events, EVENTS_PER_POLL, timeout, self.precise)
        self.sleeping = False
        if count < 0:
            if self.epoll < 0:
                raise RuntimeError(CLOSED)
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
            return 0
        self.at, self.count = 0, count
        self.crowded = count > 1
        return count

    cdef int dispatch(self) except -1:
        """Hand the events of the last wait to their watchers."""
        cdef uint32_t events
        cdef uint64_t tag
        cdef Py_ssize_t fd
        cdef Watcher watcher
        while self.at < self.count:
            events = self.events[self.at].events
            tag = self.events[self.at].data.u64
            self.at += 1
            fd = <uint32_t> tag
            if fd >= len(self.watchers):
                continue
            watcher = <Watcher> self.watchers[fd]
            if watcher is not None and watcher.generation == <uint32_t> (tag >> 32):
                watcher.on_ready(events)
                if self.crowded:
                    self.relieve()
        return self.send_held() if self.crowded and self.held else 0

    cdef int wake(self) except -1:
        """End a wait, from any thread."""
        cdef uint64_t one = 1
        if self.waker >= 0:
            write(self.waker, &one, sizeof(one))
        return 0


cdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double> now.tv_sec + <double> now.tv_nsec * 1e-9


cdef int control(int epoll, int operation, int fd, uint32_t interest, uint32_t generation) noexcept:
    cdef epoll_event event
    event.events = interest
    event.data.u64 = (<uint64_t> generation << 32) | <uint32_t> fd
    return epoll_ctl(epoll, operation, fd, &event)


cdef int add_or_modify(int epoll, int fd, uint32_t interest, uint32_t generation) noexcept:
    if control(epoll, EPOLL_CTL_ADD, fd, interest, generation) == 0:
        return 0
    if errno != EEXIST:
        return -1
    return control(epoll, EPOLL_CTL_MOD, fd, interest, generation)


cdef int wait_for(
    int epoll, epoll_event* events, int size, double timeout, bint precise
) noexcept nogil:
    """Rounded up, so that nobody wakes early."""
    cdef timespec wait
    if not precise:
        return epoll_wait(epoll, events, size, <int> (timeout * 1e3) + 1)
    wait.tv_sec = <time_t> timeout
    wait.tv_nsec = <long> ((timeout - <double> wait.tv_sec) * 1e9) + 1
    if wait.tv_nsec >= 1000000000:
        wait.tv_sec += 1
        wait.tv_nsec = 0
    return epoll_pwait2_by_number(epoll, events, size, &wait)


cdef bint has_epoll_pwait2(int epoll, epoll_event* events) noexcept:
    cdef timespec now
    now.tv_sec = now.tv_nsec = 0
    return epoll_pwait2_by_number(epoll, events, 1, &now) >= 0 or errno != ENOSYS


cdef int close_all(int epoll, int waker) noexcept:
    if epoll >= 0:
        close(epoll)
    if waker >= 0:
        close(waker)
    return 0
