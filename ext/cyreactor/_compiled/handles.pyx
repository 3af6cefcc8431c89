"""Handles: calls that are scheduled, and the heap of those that are scheduled for later.

The pure core does with asyncio's own.
"""

import asyncio
import sys

cimport cython
from cpython.list cimport PyList_GET_ITEM

from asyncio import format_helpers

cdef extern from "Python.h":
    object PyContext_CopyCurrent()


cdef class Record:
    """What debug mode keeps of a handle."""

    def __cinit__(self, traceback, description=None):
        self.traceback, self.description = traceback, description


cdef class Scheduler:
    """What handles need of their loop."""

    cdef int run(self, Handle handle) except -1:
        """Call back, and report what that raises."""
        return 0

    cdef int run_watched(self, Handle handle) except -1:
        """The same; in debug mode say when it took long."""
        return 0


# A handle of the freelist does not count as new for the garbage collector: a thousand under way cost no
# collection.
@cython.freelist(1024)
cdef class Handle:
    """A scheduled call, as ``asyncio.Handle``."""

    @property
    def __class__(self):
        """Programs ask ``isinstance(handle, asyncio.Handle)``; a C layout cannot inherit from it."""
        return asyncio.Handle

    def cancel(self):
        """The callback will not be called; cancelling twice or after the call does nothing."""
        self.annul()

    cdef int annul(self) except -1:
        if self._cancelled:
            return 0
        self._cancelled = True
        if self._loop is not None and self._loop.debugging:
            self.record = Record(self._source_traceback, repr(self))
        self._callback = self.first = self.rest = None
        return 0

    def cancelled(self):
        """Whether the handle was cancelled."""
        return self._cancelled

    def get_context(self):
        """The context in which the callback is called."""
        return self._context

    @property
    def _args(self):
        """The arguments of the call; None once cancelled."""
        if self._callback is None:
            return None
        return (self.first,) if self.alone else self.rest or ()

    @property
    def _source_traceback(self):
        """Where it was scheduled, in debug mode; else None."""
        return None if self.record is None else self.record.traceback

    def _run(self):
        if self._loop is None:
            raise TypeError(f"a {type(self).__name__} is made by scheduling a call")
        self._loop.run(self)

    def __repr__(self):
        if self.record is not None and self.record.description is not None:
            return self.record.description
        info = [type(self).__name__]
        if self._cancelled:
            info.append("cancelled")
        if isinstance(self, TimerHandle):
            info.append(f"when={self.when()}")
        if self._callback is not None:
            info.append(format_helpers._format_callback_source(self._callback, self._args))
        if self._source_traceback:
            frame = self._source_traceback[len(self._source_traceback) - 1]
            info.append(f"created at {frame[0]}:{frame[1]}")
        return f"<{' '.join(info)}>"


cdef class TimerHandle(Handle):
    """A call scheduled for later, as ``asyncio.TimerHandle``."""

    @property
    def __class__(self):
        return asyncio.TimerHandle

    def when(self):
        """The deadline, in seconds of the loop's clock."""
        return self._when

    @property
    def _scheduled(self):
        return self.index >= 0

    # Rare enough to be asyncio's own.

    def __hash__(self):
        return hash(self._when)

    def __eq__(self, other):
        return asyncio.TimerHandle.__eq__(self, other)

    def __lt__(self, other):
        return asyncio.TimerHandle.__lt__(self, other)

    def __le__(self, other):
        return asyncio.TimerHandle.__le__(self, other)

    def __gt__(self, other):
        return asyncio.TimerHandle.__gt__(self, other)

    def __ge__(self, other):
        return asyncio.TimerHandle.__ge__(self, other)

    def cancel(self):
        if self.index >= 0 and self._loop is not None:
            heap_remove(self._loop, self)
        self.annul()


cdef Handle new_handle(Scheduler loop, object callback, tuple args, object context):
    cdef Handle handle = Handle.__new__(Handle)
    fill(handle, loop, callback, args, context)
    return handle


cdef TimerHandle new_timer(Scheduler loop, object callback, tuple args, object context):
    cdef TimerHandle timer = TimerHandle.__new__(TimerHandle)
    fill(timer, loop, callback, args, context)
    return timer


cdef inline int fill(Handle handle, Scheduler loop, object callback, tuple args, object context) except -1:
    handle._callback = callback
    handle.rest = args
    handle._context = PyContext_CopyCurrent() if context is None else context
    handle._loop = loop
    if loop.debugging:
        handle.record = Record(format_helpers.extract_stack(sys._getframe(0)))
    return 0


# The timers: a binary heap whose members know their place, so that cancelling removes at once and
# nothing dead is ever left behind. Its list is longer than the heap: a timeout that is set and cancelled
# allocates nothing for it.

cdef inline bint earlier(TimerHandle a, TimerHandle b) noexcept:
    return a._when < b._when or (a._when == b._when and a.order < b.order)


cdef inline int settle(list heap, Py_ssize_t index, TimerHandle timer) noexcept:
    replace(heap, index, timer)
    timer.index = index
    return 0


cdef int heap_push(Scheduler loop, TimerHandle timer) except -1:
    while loop.delayed == len(loop.timers):  # what a finalizer pushes meanwhile may fill it again
        enlarge(loop)
    loop.delayed += 1
    return sift_up(loop.timers, loop.delayed - 1, timer)


cdef int enlarge(Scheduler loop) except -1:
    cdef list free = [None] * max(64, len(loop.timers))  # which may run the garbage collector
    if loop.delayed == len(loop.timers):
        loop.timers += free
    return 0


cdef int heap_remove(Scheduler loop, TimerHandle timer) except -1:
    cdef list heap = loop.timers
    cdef Py_ssize_t index = timer.index, size = loop.delayed - 1
    cdef TimerHandle last = <TimerHandle> PyList_GET_ITEM(heap, size)
    replace(heap, size, None)
    loop.delayed = size
    timer.index = -1
    if last is not timer:
        sift_up(heap, sift_down(heap, size, index, last), last)
    if len(heap) > 64 and size < len(heap) >> 2:
        del heap[len(heap) >> 1:]
    return 0


cdef int sift_up(list heap, Py_ssize_t index, TimerHandle timer) noexcept:
    cdef TimerHandle parent
    while index > 0:
        parent = <TimerHandle> PyList_GET_ITEM(heap, (index - 1) >> 1)
        if not earlier(timer, parent):
            break
        settle(heap, index, parent)
        index = (index - 1) >> 1
    return settle(heap, index, timer)


cdef Py_ssize_t sift_down(list heap, Py_ssize_t size, Py_ssize_t index, TimerHandle timer) noexcept:
    cdef Py_ssize_t child
    cdef TimerHandle lesser
    while True:
        child = 2 * index + 1
        if child >= size:
            break
        if child + 1 < size and earlier(
            <TimerHandle> PyList_GET_ITEM(heap, child + 1), <TimerHandle> PyList_GET_ITEM(heap, child)
        ):
            child += 1
        lesser = <TimerHandle> PyList_GET_ITEM(heap, child)
        if not earlier(lesser, timer):
            break
        settle(heap, index, lesser)
        index = child
    settle(heap, index, timer)
    return index
