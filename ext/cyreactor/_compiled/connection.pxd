# A stream connection, TCP or Unix: one descriptor, one protocol, one sink, one write queue.

from libc.stdint cimport uint8_t, uint64_t

from .endpoint cimport Endpoint
from .sink cimport Sink
from .syscalls cimport sockaddr_in6


cdef class Connection(Endpoint):
    cdef readonly object _name           # its own address, where its listener knew it, or once it is closed
    cdef readonly object _server         # the asyncio.Server that accepted it, or None
    cdef Sink sink                       # what reads go into; follows the protocol
    cdef Sink former                     # the one before, while it is asked for nothing but its rest
    cdef bytes backlog                   # bytes of a former sink, to deliver before the next read
    cdef bytes first                     # to send; None when nothing is queued
    cdef list queue                      # bytes objects to send after it, or None: most answers are one piece
    cdef Py_ssize_t sent                 # bytes of `first` that are gone already
    cdef object emptied                  # a future, while somebody else writes once the queue is empty
    cdef uint64_t written                # the iteration of the last write
    cdef uint8_t habit                   # iterations in which its writes had company, see COALESCE_AFTER
    cdef bint paused                     # the user stopped reading
    cdef bint ended                      # the peer sent the end of the stream
    cdef bint told                       # and eof_received was called: everything before it is delivered
    cdef bint eof_written                # the user will write no more
    cdef bint accompanied                # this iteration was one of those
    cdef uint8_t peer_size               # of the address that accept4 gave, 0 when there is none
    cdef sockaddr_in6 peer               # or what is smaller

    cdef int set_names(self, object own, const void* address, unsigned int size) except -1
    cdef int speak(self) except -1
    cdef int pour_backlog(self) except -1
    cdef int keep_rest(self) except -1
    cdef int tell_end(self) except -1
    cdef int check_write(self, str method) except -1
    cdef int enqueue(self, bytes piece, Py_ssize_t start) except -1
    cdef bint holds(self) except -1
    cdef int after_write(self) except -1
    cdef bint leaves_at_once(self, object data) except -1
    cdef int submit(self, bytes piece) except -1
    cdef int send_buffer(self, object data) except -1
    cdef int send_now(self, bytes piece, const char* start, Py_ssize_t size) except -1
    cdef Py_ssize_t transmit(self) noexcept
    cdef int advance(self, Py_ssize_t count) except -1
    cdef int write_failed(self) except -1


cdef Sink make_sink(object transport, object protocol)
