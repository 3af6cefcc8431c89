# A datagram socket: one descriptor, one protocol, a queue of datagrams.

from .endpoint cimport Endpoint


cdef class Datagram(Endpoint):
    cdef readonly object _address        # the peer of a connected socket, None for any
    cdef int family
    cdef list queue                      # pairs (bytes, address): the kernel's form, [Python's], or None
    cdef object known                    # the address that was sent to last,
    cdef bytes known_raw                 # and the kernel's form of it
    cdef object peer                     # the address that was received from last,
    cdef bytes peer_raw                  # and the kernel's form of it

    cdef object peer_of(self, const char* raw, Py_ssize_t size)
    cdef int deliver(self, list arrivals) except -1
    cdef int report_error(self, exc) except -1
    cdef object target(self, address)
    cdef int enqueue(self, bytes piece, target) except -1
    cdef int send_slowly(self) except -1
    cdef int transmit(self) except -2
    cdef int drop(self, Py_ssize_t count) except -1
