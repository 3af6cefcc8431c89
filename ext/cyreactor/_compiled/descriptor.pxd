# What the user watches: the descriptor of a file or socket of their own.

from libc.stdint cimport uint32_t

from .handles cimport Handle, Scheduler
from .poller cimport Poller, Watcher


cdef class Descriptor(Watcher):
    # Both directions of one number are one registration.
    cdef Poller poller
    cdef Scheduler loop
    cdef Handle reader
    cdef Handle writer
    cdef object owner                    # a weak reference to the socket whose sock_ calls wait here, or None
    cdef list readers                    # their futures
    cdef list writers
    cdef readonly bint readable          # a read may find something
    cdef bint ended                      # the peer will send no more: a read never blocks again
    cdef bint stream                     # a read of less than was asked for drains it

    cdef int update(self) except -1
    cdef int note(self, uint32_t events) except -1
    cpdef bint serves(self, object sock) except -1
    cpdef took(self, Py_ssize_t count, Py_ssize_t wanted)
    cpdef wait_readable(self)
    cpdef wait_writable(self)
    cdef object wait(self, list waiting)
    cdef Handle read_by(self, Handle handle)
    cdef Handle written_by(self, Handle handle)
    cdef Handle replaced(self, Handle former, Handle handle)
    cdef bint read_by_none(self) except -1
    cdef bint written_by_none(self) except -1
    cdef bint dropped(self, Handle former) except -1


cdef int as_descriptor(object fileobj) except -1
