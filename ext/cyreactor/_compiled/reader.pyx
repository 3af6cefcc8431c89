"""What a stream reader reads from: bytes kept until a coroutine asks for them.

Every ``_take_`` method returns None where the coroutine must wait for more, and consumes nothing then.
So a read that is cancelled while it waits has lost nothing, and one that can be answered at once is.

Flow control. While more than twice the limit waits, the transport is held back; at or below the limit
it goes on. A coroutine that waits for more than that is never held back by what waits for it.
"""

import sys
from asyncio import IncompleteReadError, LimitOverrunError

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr

from .framing cimport search
from .intake cimport Intake

from cyreactor import limits

cdef Py_ssize_t EVERYTHING = sys.maxsize
cdef Py_ssize_t GROWTH = limits.STREAM_GROWTH

cdef object NOT_FOUND = "Separator is not found, and chunk exceed the limit"
cdef object FOUND_LATE = "Separator is found, but chunk is longer than limit"
cdef object BUSY = "another coroutine is already waiting for incoming data"


cdef class StreamSink(Intake):
    """The half of ``cyreactor.StreamReader`` that does not wait."""

    def __init__(self, limit, loop):
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self._loop = loop

    # --- from the transport ---

    def set_transport(self, transport):
        """The transport to hold back while too much waits."""
        assert self._transport is None, "Transport already set"
        self._transport = transport

    def feed_data(self, data):
        """Append bytes of the stream."""
        assert not self._eof, "feed_data after feed_eof"
        self.feed(data)
        self.deliver()

    def feed_eof(self):
        """The stream ends after what was fed."""
        self._eof = True
        self.wake()

    def set_exception(self, exc):
        """The stream is broken: every read raises this from now on."""
        waiter, self._waiter = self._waiter, None
        self._exception = exc
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc)

    def exception(self):
        """What broke the stream; None while nothing has."""
        return self._exception

    def at_eof(self):
        """Whether the stream has ended and all of it was read."""
        return self._eof and self.end == self.start

    @property
    def _buffer(self):
        return PyBytes_FromStringAndSize(self.base + self.start, self.end - self.start)

    cpdef bytes take(self):
        return b""  # what has arrived is the reader's, whatever becomes of the connection

    cdef int deliver(self) except -1:
        cdef Py_ssize_t pending = self.end - self.start
        if self._waiter is not None:
            if pending < self.wanted and not self._waiter.done():
                return 0
            self.wake()
        if pending > 2 * self._limit and not self._paused:
            return self.throttle()
        return 0

    cdef int wake(self) except -1:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return 0

    cdef int throttle(self) except -1:
        if self._transport is None:
            return 0
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None
        else:
            self._paused = True
        return 0

    # --- for the coroutines ---

    def _more(self, method, Py_ssize_t wanted=0):
        """A future for when more has come, so that ``wanted`` bytes are there, or the end of the stream."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError(f"{method}() called while {BUSY}")
        if wanted == 0:
            wanted = self.end - self.start + 1
        self.wanted = wanted if wanted > 0 else EVERYTHING
        self.needed = min(self.wanted, GROWTH)
        self._waiter = self._loop.create_future()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return self._waiter

    def _take_line(self):
        """A line with its end, what is left at the end of the stream. Raises ValueError over the limit."""
        cdef Py_ssize_t pending = self.end - self.start, at = self.resume_search(None)
        cdef const char* data = self.base + self.start
        cdef const char* mark = NULL
        if self._exception is not None:
            raise self._exception
        if pending > at:
            mark = <const char*> memchr(data + at, 10, pending - at)
        if mark != NULL:
            at = mark - data
            if at > self._limit:
                self.cut(at + 1)
                raise ValueError(FOUND_LATE)
            return self.cut(at + 1)
        self.scanned = pending
        if pending > self._limit:
            self.cut(pending)
            raise ValueError(NOT_FOUND)
        return self.cut(pending) if self._eof else None

    def _take_until(self, separators):
        """Up to the separator that ends first, with it. ``separators`` is a tuple, the shortest first."""
        cdef Py_ssize_t pending = self.end - self.start, at = self.resume_search(separators)
        cdef Py_ssize_t width, found, start = -1, end = pending
        cdef const char* data = self.base + self.start
        cdef bytes separator
        if self._exception is not None:
            raise self._exception
        for separator in separators:
            width = PyBytes_GET_SIZE(separator)
            found = search(data, at, end, PyBytes_AS_STRING(separator), width)
            if found >= 0 and (start < 0 or found + width < end):
                start, end = found, found + width
        if start > self._limit:
            raise LimitOverrunError(FOUND_LATE, start)
        if start >= 0:
            return self.cut(end)
        self.scanned = max(0, pending + 1 - width)  # the last one is the longest
        if self.scanned > self._limit:
            raise LimitOverrunError(NOT_FOUND, self.scanned)
        if self._eof:
            raise IncompleteReadError(self.cut(pending), None)
        return None

    def _take_exactly(self, Py_ssize_t count):
        """So many bytes. Raises IncompleteReadError with what is left where the stream ends before."""
        cdef Py_ssize_t pending = self.end - self.start
        if self._exception is not None:
            raise self._exception
        if pending >= count:
            return self.cut(count)
        if self._eof:
            raise IncompleteReadError(self.cut(pending), count)
        return None

    def _take_some(self, Py_ssize_t count):
        """What there is, up to so many bytes; a negative count waits for the end of the stream."""
        cdef Py_ssize_t pending = self.end - self.start
        if self._exception is not None:
            raise self._exception
        if count < 0:
            return self.cut(pending) if self._eof else None
        if pending == 0 and count and not self._eof:
            return None
        return self.cut(min(pending, count))

    def _take_back(self):
        """Everything that was not read, for another reader of the same transport."""
        return self.cut(self.end - self.start)

    cdef Py_ssize_t resume_search(self, object separators) except -1:
        """Where the last search for the same gave up."""
        if separators is not self.sought:
            self.sought = separators
            self.scanned = 0
        return self.scanned

    cdef object cut(self, Py_ssize_t count):
        cdef Py_ssize_t pending = self.end - self.start - count
        taken = PyBytes_FromStringAndSize(self.base + self.start, count)
        self.start += count
        self.scanned = self.needed = 0
        if pending == 0:
            self.keep()
        if self._paused and pending <= self._limit:
            self._paused = False
            self._transport.resume_reading()
        return taken
