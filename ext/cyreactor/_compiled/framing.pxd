# Framers: from a stream of bytes to messages, with I/O or without.

from .sink cimport Sink


cdef enum Verdict:
    BROKEN = -1         # `failure` is set
    INCOMPLETE = 0
    WHOLE = 1           # `body`, `length` and `total` describe the message


cdef class Framer(Sink):
    cdef readonly Py_ssize_t max_length
    cdef object transport            # what `send` writes to
    cdef object receiver             # the protocol whose message_received is called, while attached
    cdef char* base                  # what is undelivered lies at base[start:end]
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    cdef Py_ssize_t scanned          # bytes from start on that were searched in vain
    cdef bint lent                   # base is the scratch of a read, not `own`
    cdef char* own                   # malloc'd; NULL while nothing is kept
    cdef Py_ssize_t capacity         # of own
    cdef Py_ssize_t needed           # bytes of the whole message that is incomplete, 0 if unknown
    cdef Py_ssize_t body             # the message found: where its content starts, after start
    cdef Py_ssize_t length           # of its content
    cdef Py_ssize_t total            # with everything around it

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN
    cpdef bytes frame(self, message)
    cdef object cut(self)
    cdef int keep(self) except -1
    cdef int make_room(self, Py_ssize_t room) except -1
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
