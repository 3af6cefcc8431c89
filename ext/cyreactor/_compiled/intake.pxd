# A sink that keeps what has arrived until it can be used: the ground of framers, parsers and readers.

from .sink cimport Sink


cdef class Intake(Sink):
    cdef char* base                  # what is undelivered lies at base[start:end]
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    cdef bint lent                   # base is the scratch of a read, not `own`
    cdef char* own                   # malloc'd; NULL while nothing is kept
    cdef Py_ssize_t capacity         # of own
    cdef Py_ssize_t latest           # bytes of the last read
    cdef Py_ssize_t needed           # bytes from start on that something waits for, 0 if unknown

    cdef int deliver(self) except -1
    cdef int append(self, const char* data, Py_ssize_t size) except -1
    cdef int keep(self) except -1
    cdef int make_room(self, Py_ssize_t room) except -1
