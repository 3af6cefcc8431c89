# Scheduling: what runs next, what runs later, and what other threads want to have run.

from libc.stdint cimport uint64_t

from .descriptor cimport Descriptor
from .handles cimport Handle, Scheduler, TimerHandle
from .poller cimport Poller


cdef class Loop(Scheduler):
    cdef readonly Poller _poller
    cdef list ready                      # ring of handles, None in the free places; power of two
    cdef Py_ssize_t head                 # of the ring
    cdef Py_ssize_t count                # of handles in the ring
    cdef uint64_t scheduled              # timers so far
    cdef list inbox                      # handles of other threads
    cdef bint has_mail                   # written under the GIL or the lock, read without
    cdef unsigned long thread            # that runs the loop, 0 when none does
    cdef public bint _driven             # run_forever is ours: `_run_once` need not return to it
    cdef public double _manual_time      # what a test has set the clock to; below zero: the kernel's is used
    cdef Py_ssize_t unpolled             # callbacks since the kernel was last asked for events
    cdef bint stopping
    cdef bint closed

    cdef int push(self, Handle handle) except -1
    cdef int grow(self) except -1
    cdef int show_ready(self) except -1
    cdef int deliver_mail(self) except -1
    cdef Py_ssize_t expire(self) except -1
    cdef int begin(self, bint stopping) except -1
    cdef int end(self) except -1
    cdef int iterate(self, double longest) except -1
    cdef bint looks_away(self) noexcept
    cdef int wait(self, double longest) except -1
    cdef double now(self) noexcept
    cdef double patience(self, double longest) except? -2
    cdef int run_ready(self, Py_ssize_t count) except -1
    cdef int report(self, Handle handle, object exc) except -1
    cdef TimerHandle schedule(self, double when, object callback, tuple args, object context, str caller)
    cdef bint post(self, Handle handle) except -1
    cdef Descriptor readiness(self, object sock, int fd)
    cdef Descriptor descriptor(self, object fileobj)
