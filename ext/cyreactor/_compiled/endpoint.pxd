# One descriptor with one protocol: what streams and datagrams have in common.

from libc.stdint cimport uint32_t

from .poller cimport Poller, Watcher


cdef enum State:
    BORN        # connection_made has not been called
    OPEN
    CLOSING     # nothing more is read; what is queued still leaves
    LOST        # connection_lost is scheduled
    CLOSED      # connection_lost was called, the descriptor is gone


cdef class Endpoint(Watcher):
    cdef readonly object _loop           # None once closed
    cdef Poller poller
    cdef object protocol                 # None once closed
    cdef object context                  # entered around every callback
    cdef object sock                     # the Python socket that owns fd; None until somebody asks
    cdef object cause                    # the exception for connection_lost of a closing endpoint
    cdef Py_ssize_t queued               # bytes still to send
    cdef Py_ssize_t high                 # watermarks, in bytes
    cdef Py_ssize_t low
    cdef uint32_t lost_writes            # since the endpoint was lost
    cdef State state
    cdef bint full                       # the kernel took less than was offered: waits for EPOLLOUT
    cdef bint throttled                  # the protocol was told to pause writing
    cdef bint resuming                   # it is being told to resume
    cdef bint lent                       # somebody else has the descriptor's events, see sendfile
    cdef bint dispatching                # one of its callbacks runs: writes wait for its end
    cdef bint holding                    # on the poller's list for the flush before the wait

    # What a kind of endpoint does in its own way.
    cdef bint reading(self) noexcept
    cdef int read(self) except -1
    cdef int send_queued(self) except -1
    cdef int halt(self) except -1
    cdef int forget_queue(self) except -1
    cdef int end_dispatch(self) except -1
    cdef int finish_writing(self) except -1

    cdef int begin(self) except -1
    cdef int respond(self, uint32_t events) except -1
    cdef int enter(self) except -1
    cdef int leave(self) except -1
    cdef int want(self) except -1
    cdef int watch(self, uint32_t interest) except -1
    cdef int settle(self, uint32_t events) except -1
    cdef int callback_failed(self, str callback, exc) except -1
    cdef bint writable(self) noexcept
    cdef int hold(self) except -1
    cdef int drained(self) except -1
    cdef int throttle(self) except -1
    cdef int release(self) except -1
    cdef int lose(self, exc) except -1


cdef bytes as_bytes(object data)
cdef object os_error(int error)
