"""A stream reader: bytes kept until a coroutine asks for them.

Every ``take_`` method returns None where the coroutine must wait for more, and consumes nothing then.
So a read that is cancelled while it waits has lost nothing, and one that can be answered at once is.

Flow control. While more than twice the limit waits, the transport is held back; at or below the limit
it goes on. A coroutine that waits for more than that is never held back by what waits for it.

What is awaited is a ``Reading``: a coroutine of two states, begun and waiting. The interpreter asks one
for its result by StopIteration, which Cython would raise with a traceback: a slot of the type is set
to a function that only sets it.
"""

import sys
from asyncio import IncompleteReadError, LimitOverrunError

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memchr

from .framing cimport search
from .intake cimport Intake

cdef extern from "Python.h":
    ctypedef PyObject* (*iternextfunc)(PyObject*)
    ctypedef struct PyTypeObject:
        iternextfunc tp_iternext
    void PyErr_SetObject(object type, object value) noexcept
    int PyErr_WarnFormat(object category, Py_ssize_t level, const char* form, ...) except -1
    Py_ssize_t PyNumber_AsSsize_t(object number, PyObject* overflow) except? -1

cdef Py_ssize_t EVERYTHING = sys.maxsize

cdef object NOT_FOUND = "Separator is not found, and chunk exceed the limit"
cdef object FOUND_LATE = "Separator is found, but chunk is longer than limit"
cdef tuple METHODS = ("readline", "readline", "readuntil", "readexactly", "read")
cdef object BUSY = "another coroutine is already waiting for incoming data"
cdef object OVER = "cannot reuse already awaited coroutine"


cdef class StreamReader(Intake):
    """The core of ``cyreactor.StreamReader``."""

    def __init__(self, limit, loop):
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = int(min(limit, EVERYTHING))
        self._loop = loop
        self.callback = "data_received"

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
        if pending - self._limit > self._limit and not self._paused:
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

    cdef int release(self) except -1:
        self._paused = False
        self._transport.resume_reading()
        return 0

    # --- for coroutines ---

    def readline(self):
        """A line with its LF; at the end of the stream what is left.

        Raises ValueError for a line over the limit, which is then dropped.
        """
        return reading(self, LINE, None)

    def readuntil(self, separator=b"\n"):
        """Up to and with the separator; of several in a tuple the one that ends first.

        Raises asyncio.LimitOverrunError where that is over the limit, with nothing consumed, and
        asyncio.IncompleteReadError where the stream ends before.
        """
        return reading(self, UNTIL, separator)

    def readexactly(self, n):
        """``n`` bytes. Raises asyncio.IncompleteReadError where the stream ends before."""
        return reading(self, EXACTLY, n)

    def read(self, n=-1):
        """Up to ``n`` bytes, as soon as there are any; all until the end of the stream for -1."""
        return reading(self, SOME, n)

    def __anext__(self):
        return reading(self, NEXT_LINE, None)

    def _take_back(self):
        """What was not read, for another reader. The transport is not held back for it any more."""
        self._paused = False
        return self.cut(self.end - self.start)

    cdef object more(self, Kind kind, Py_ssize_t count):
        """A future for when more has come, as much as that read needs, or the end of the stream."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError(f"{METHODS[<int> kind]}() called while {BUSY}")
        if self._exception is not None:  # since it was woken for something else
            raise self._exception
        if kind == EXACTLY:
            self.wanted = count
        else:
            self.wanted = EVERYTHING if count < 0 else self.end - self.start + 1
        self.needed = self.wanted
        waiter = self._waiter = self._loop.create_future()
        if self._paused:
            try:
                self.release()
            except BaseException:
                self._waiter = None
                raise
        return waiter

    cdef object take_line(self):
        """A line with its end, what is left at the end of the stream. Raises ValueError over the limit."""
        cdef Py_ssize_t pending = self.end - self.start, at = self.resume_search(None)
        cdef const char* data = self.base + self.start
        cdef const char* mark = NULL
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

    cdef object take_until(self, object separators):
        """Up to the separator that ends first, with it. ``separators`` is a tuple, the shortest first."""
        cdef Py_ssize_t pending = self.end - self.start, at = self.resume_search(separators)
        cdef Py_ssize_t width, found, start = -1, end = pending
        cdef const char* data = self.base + self.start
        cdef bytes separator
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

    cdef object take_exactly(self, Py_ssize_t count):
        """So many bytes. Raises IncompleteReadError with what is left where the stream ends before."""
        cdef Py_ssize_t pending = self.end - self.start
        if pending >= count:
            return self.cut(count)
        if self._eof:
            raise IncompleteReadError(self.cut(pending), count)
        return None

    cdef object take_some(self, Py_ssize_t count):
        """What there is, up to so many bytes; a negative count waits for the end of the stream."""
        cdef Py_ssize_t pending = self.end - self.start
        if count < 0:
            return self.cut(pending) if self._eof else None
        if pending == 0 and count and not self._eof:
            return None
        return self.cut(min(pending, count))

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
            self.release()
        return taken


cdef tuple ordered(object separator):
    """What to search for, the shortest first."""
    if type(separator) is bytes and separator:
        return (separator,)
    given = separator if isinstance(separator, tuple) else (separator,)
    found = tuple(sorted((bytes(memoryview(item)) for item in given), key=len))
    if not found:
        raise ValueError("Separator should contain at least one element")
    if not found[0]:
        raise ValueError("Separator should be at least one-byte string")
    return found


cdef object as_exception(object kind, object value):
    """What the arguments of ``throw`` describe."""
    if isinstance(kind, type) and issubclass(kind, BaseException):
        if value is None:
            return kind()
        if isinstance(value, kind):
            return value
        return kind(*value) if isinstance(value, tuple) else kind(value)
    if not isinstance(kind, BaseException):
        raise TypeError(
            f"exceptions must be classes or instances deriving from BaseException, not {type(kind).__name__}"
        )
    if value is not None:
        raise TypeError("instance exception may not have a separate value")
    return kind


cdef Reading reading(StreamReader reader, Kind kind, object asked):
    cdef Reading made = Reading.__new__(Reading)
    made.reader = reader
    made.kind = kind
    made.asked = asked
    return made


@cython.final
@cython.freelist(64)
cdef class Reading:
    """What a read of a stream awaits: a coroutine in all but its type."""

    def __dealloc__(self):
        # With a reader it is whole: the garbage collector takes its fields one and all.
        if self.reader is None:
            return
        if self.begun:
            self.end()
        else:
            name = <bytes> METHODS[<int> self.kind].encode()
            PyErr_WarnFormat(
                RuntimeWarning, 1, "coroutine 'StreamReader.%s' was never awaited", PyBytes_AS_STRING(name)
            )

    @property
    def __name__(self):
        """For those who describe a task by its coroutine."""
        return METHODS[<int> self.kind]

    @property
    def __qualname__(self):
        """The same."""
        return f"StreamReader.{METHODS[<int> self.kind]}"

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """See ``coroutine.send``."""
        cdef PyObject* future = step(<PyObject*> self)
        result = <object> future
        Py_DECREF(result)
        return result

    def throw(self, type, value=None, traceback=None):
        """See ``coroutine.throw``."""
        if self.reader is None:
            raise RuntimeError(OVER)
        exc = as_exception(type, value)
        if traceback is not None:
            exc = exc.with_traceback(traceback)
        self.end()
        if isinstance(exc, StopIteration):  # it would look like a result
            raise RuntimeError("coroutine raised StopIteration") from exc
        raise exc

    def close(self):
        """See ``coroutine.close``."""
        self.end()

    cdef int begin(self, StreamReader reader) except -1:
        if self.kind == UNTIL:
            self.asked = ordered(self.asked)
        elif self.kind == EXACTLY or self.kind == SOME:
            self.count = PyNumber_AsSsize_t(self.asked, NULL)  # one too large is as large as can be
            if self.kind == EXACTLY and self.count < 0:
                raise ValueError("readexactly size can not be less than zero")
        if reader._exception is not None:
            raise reader._exception
        return 0

    cdef int end(self) except -1:
        """It is over; the reader does not wait for its sake any more."""
        cdef StreamReader reader = self.reader
        self.reader = None
        if reader is not None and self.future is not None and reader._waiter is self.future:
            reader._waiter = None
        return 0

    cdef object attempt(self, StreamReader reader):
        if self.kind == EXACTLY:
            return reader.take_exactly(self.count)
        if self.kind == SOME:
            return reader.take_some(self.count)
        if self.kind == UNTIL:
            return reader.take_until(self.asked)
        line = reader.take_line()
        if self.kind == NEXT_LINE and line is not None and not line:
            raise StopAsyncIteration
        return line


cdef PyObject* step(PyObject* awaited) except? NULL:
    """Return what is to be waited for; or set StopIteration, with the result."""
    cdef Reading self = <Reading> awaited
    cdef StreamReader reader = self.reader
    if reader is None:
        raise RuntimeError(OVER)
    if self.future is not None and not self.future.done():
        raise RuntimeError("coroutine is being awaited already")
    self.reader = None  # it is over, should this fail
    if not self.begun:
        self.begun = True
        self.begin(reader)
    elif self.waiting is not None:
        next(self.waiting, None)
    result = self.attempt(reader)
    if result is not None:
        PyErr_SetObject(StopIteration, result)
        return NULL
    self.future = reader.more(self.kind, self.count)
    self.waiting = self.future.__await__()
    future = next(self.waiting)
    self.reader = reader
    Py_INCREF(future)
    return <PyObject*> future


(<PyTypeObject*> Reading).tp_iternext = <iternextfunc> step
