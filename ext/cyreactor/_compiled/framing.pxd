# Framers: from a stream of bytes to messages, with I/O or without.

from .intake cimport Intake


cdef enum Verdict:
    BROKEN = -1         # `failure` is set
    INCOMPLETE = 0
    WHOLE = 1           # `body`, `length` and `total` describe the message


cdef Py_ssize_t search(
    const char* data, Py_ssize_t start, Py_ssize_t size, const char* mark, Py_ssize_t width
) noexcept


cdef class Framer(Intake):
    cdef readonly Py_ssize_t max_length
    cdef object transport            # what `send` writes to
    cdef readonly object receiver    # the protocol whose message_received is called, while attached
    cdef bint batches                # it takes whole lists, by messages_received
    cdef Py_ssize_t scanned          # bytes from start on that were searched in vain
    cdef Py_ssize_t raw              # the size of the raw block that comes next; -1 when framing goes on
    cdef Py_ssize_t body             # the message found: where its content starts, after start
    cdef Py_ssize_t length           # of its content
    cdef Py_ssize_t total            # with everything around it

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN
    cpdef list next_messages(self)
    cpdef tuple edges(self, bytes message)
    cdef object cut(self)
    cdef object cut_raw(self)
    cdef Verdict too_long(self) except? BROKEN
    cdef Verdict broken(self, str why) except? BROKEN


cdef class LineFramer(Framer):
    pass


cdef class DelimiterFramer(Framer):
    cdef readonly bytes delimiter


cdef class LengthPrefixFramer(Framer):
    cdef readonly int width
    cdef readonly str byteorder
    cdef bint little


cdef class FixedLengthFramer(Framer):
    cdef readonly Py_ssize_t size


cdef class NetstringFramer(Framer):
    pass
