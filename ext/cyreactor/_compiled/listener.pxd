# A listening socket: accepts in bounded batches, rests when the system is out of resources.

from libc.stdint cimport uint32_t

from .poller cimport Poller, Watcher


cdef class Listener(Watcher):
    cdef Poller poller
    cdef object _loop
    cdef object sock                 # the Python socket, owned by the server
    cdef object context              # of whoever started to listen: the connections' too
    cdef object factory              # of protocols
    cdef object transport_class
    cdef object server               # the asyncio.Server, or None
    cdef object name                 # the own address of every connection; None where they differ
    cdef int batch                   # connections accepted by one wake-up
    cdef object retry                # the timer of a rest, None while accepting

    cdef int accept(self) except -1
    cdef int accepted(self, int fd, const void* address, unsigned int size) except -1
    cdef int refused(self, int error) except -1
