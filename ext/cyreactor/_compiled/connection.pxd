# A stream connection, TCP or Unix: one descriptor, one protocol, one sink, one write queue.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .poller cimport Poller, Watcher
from .sink cimport Sink


cdef enum State:
    BORN        # connection_made has not been called
    OPEN
    CLOSING     # nothing more is read or accepted for writing; what is queued still leaves
    LOST        # connection_lost is scheduled
    CLOSED      # connection_lost was called, the descriptor is gone


cdef class Connection(Watcher):
    cdef readonly object _loop           # None once closed
    cdef readonly object _server         # the asyncio.Server that accepted it, or None
    cdef Poller poller
    cdef object protocol                 # None once closed
    cdef Sink sink                       # what reads go into; follows the protocol
    cdef Sink former                     # the one before, while it is asked for nothing but its rest
    cdef bytes backlog                   # bytes of a former sink, to deliver before the next read
    cdef object context                  # entered around every callback
    cdef object sock                     # the Python socket that owns fd; None until somebody asks
    cdef object cause                    # the exception for connection_lost of a closing connection
    cdef bytes first                     # to send; None when nothing is queued
    cdef list queue                      # bytes objects to send after it, or None: most answers are one piece
    cdef Py_ssize_t sent                 # bytes of `first` that are gone already
    cdef Py_ssize_t queued               # bytes still to send
    cdef Py_ssize_t high                 # watermarks, in bytes
    cdef Py_ssize_t low
    cdef uint64_t written                # the iteration of the last write
    cdef uint32_t lost_writes            # since the connection was lost
    cdef State state
    cdef uint8_t habit                   # iterations with several writes, see COALESCE_AFTER
    cdef bint paused                     # the user stopped reading
    cdef bint ended                      # the peer sent the end of the stream
    cdef bint told                       # and eof_received was called: everything before it is delivered
    cdef bint eof_written                # the user will write no more
    cdef bint full                       # the kernel took less than was offered: waits for EPOLLOUT
    cdef bint throttled                  # the protocol was told to pause writing
    cdef bint resuming                   # it is being told to resume
    cdef bint dispatching                # one of its callbacks runs: writes wait for its end
    cdef bint holding                    # on the poller's list for the flush before the wait
    cdef bint repeated                   # wrote more than once in this iteration
    cdef uint8_t peer_size               # of the address that accept4 gave, 0 when there is none
    cdef char[28] peer

    cdef int set_peer(self, const void* address, unsigned int size) except -1
    cdef int begin(self) except -1
    cdef int enter(self) except -1
    cdef int leave(self) except -1
    cdef int respond(self, uint32_t events) except -1
    cdef bint reading(self) noexcept
    cdef int want(self) except -1
    cdef int watch(self, uint32_t interest) except -1
    cdef int settle(self, uint32_t events) except -1
    cdef int read(self) except -1
    cdef int speak(self) except -1
    cdef int pour_backlog(self) except -1
    cdef int keep_rest(self) except -1
    cdef int callback_failed(self, str callback, exc) except -1
    cdef int tell_end(self) except -1
    cdef int enqueue(self, bytes piece, Py_ssize_t start) except -1
    cdef bint writable(self) noexcept
    cdef bint holds(self) except -1
    cdef int after_write(self) except -1
    cdef int send_now(self, bytes piece) except -1
    cdef int send_queued(self) except -1
    cdef Py_ssize_t transmit(self) noexcept
    cdef int advance(self, Py_ssize_t count) except -1
    cdef int drained(self) except -1
    cdef int finish_writing(self) except -1
    cdef int write_failed(self) except -1
    cdef int throttle(self) except -1
    cdef int release(self) except -1
    cdef int lose(self, exc) except -1
