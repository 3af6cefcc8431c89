"""A sink that keeps what has arrived until it can be used: the ground of framers, parsers and readers.

Where the bytes are. A read goes straight into the loop's scratch when nothing is pending, and is
parsed there; only what is incomplete moves to memory of the intake's own, where the next read
continues it. So an idle connection holds no buffer, and a message that came whole is copied once,
into the object that the protocol gets.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from .sink cimport Sink

from cyreactor import limits
from cyreactor.errors import FramingError

cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef Py_ssize_t ANNOUNCED_ROOM = limits.ANNOUNCED_ROOM

# The least room for a read that continues a message.
cdef Py_ssize_t SMALL_READ = 4096


cdef class Intake(Sink):
    """Keeps bytes; a subclass says with `deliver` what becomes of them."""

    def __dealloc__(self):
        free(self.own)

    def feed(self, data):
        """Append bytes of the stream. Raises the error of one that failed."""
        cdef Py_buffer view
        if self.failure is not None:
            raise self.failure
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.append(<const char*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    @property
    def pending(self):
        """Bytes that were fed and are not delivered yet."""
        return self.end - self.start

    cpdef bytes take(self):
        rest = PyBytes_FromStringAndSize(self.base + self.start, self.end - self.start)
        self.start = self.end = self.needed = 0
        return rest

    # --- as a sink ---

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        cdef Py_ssize_t pending = self.end - self.start
        if pending == 0:
            self.base, self.start, self.end, self.lent = scratch, 0, 0, True
            return scratch
        self.make_room(max(
            min(self.needed - pending, ANNOUNCED_ROOM),
            min(max(pending, 2 * self.latest, SMALL_READ), READ_SIZE),  # who sent much has more to send
        ))
        size[0] = min(self.capacity - self.end, READ_SIZE)
        return self.base + self.end

    cdef int commit(self, Py_ssize_t count) except -1:
        self.end += count
        self.latest = count
        try:
            self.deliver()
        except FramingError as exc:
            if exc is not self.failure:
                raise
            return 1
        finally:
            self.keep()
        return 0

    cdef int deliver(self) except -1:
        """Hand over what is complete; raises `failure`, once it is set, and what a callback raises."""
        return 0

    # --- the bytes ---

    cdef int append(self, const char* data, Py_ssize_t size) except -1:
        if size == 0:
            return 0
        self.keep()
        self.make_room(size)
        memcpy(self.base + self.end, data, size)
        self.end += size
        return 0

    cdef int keep(self) except -1:
        """Leave the scratch: what is undelivered moves to memory of the intake's own."""
        cdef const char* rest = self.base + self.start
        cdef Py_ssize_t pending = self.end - self.start
        if pending == 0:
            free(self.own)
            self.own = NULL
            self.capacity = 0
        elif self.lent:
            self.base, self.start, self.end = self.own, 0, 0
            self.make_room(pending)
            memcpy(self.base, rest, pending)
            self.end = pending
        if pending == 0 or self.lent:
            self.base, self.start, self.end, self.lent = self.own, 0, pending, False
        return 0

    cdef int make_room(self, Py_ssize_t room) except -1:
        """See that `own` can take that many more bytes, at its end."""
        cdef char* grown
        if self.capacity - self.end >= room:
            return 0
        if self.start:
            memmove(self.own, self.own + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        if self.capacity - self.end < room:
            room += self.end >> 1  # many small pieces are not moved once each
            grown = <char*> realloc(self.own, self.end + room)
            if grown == NULL:
                raise MemoryError
            self.own = grown
            self.capacity = self.end + room
        self.base = self.own
        return 0
