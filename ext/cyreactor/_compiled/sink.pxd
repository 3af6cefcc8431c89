# The receive side of a connection: a place for the next read, and what becomes of what arrived.
#
# A connection asks `reserve` for memory, reads into it, and says with `commit` how much came.
# It knows nothing else of what hangs on it: a plain protocol, a buffered one, a framer, a parser.
#
#   - What `reserve` returns stays valid until the matching `commit`, and no longer. `scratch` is
#     memory of the loop's, lent for just that long: whatever a sink wants to keep it copies.
#     It may be another sink's bytes (`absorb`), so a sink that works in place must not write to it.
#   - Every `reserve` is followed by a `commit`. `commit(0)` means: nothing new, but you may
#     speak again: deliver what you held back.
#   - A sink stops delivering as soon as `halted` is set, keeps the rest, and returns as usual.
#   - `commit` returns 0, or 1 when the peer broke the protocol: `failure` then says how.
#     It raises what the user's callback raised, and `callback` names the one.
#   - `take` hands over and forgets all bytes that were not delivered, for another sink.

from cpython.object cimport PyObject


cdef class Sink:
    cdef public bint halted          # set by the connection: reading paused, closing, or replaced
    cdef public object failure       # the exception for connection_lost, set before `commit` returns 1
    cdef public str callback         # the name of the protocol's method that is being called
    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL
    cdef int commit(self, Py_ssize_t count) except -1
    cpdef bytes take(self)
    cdef int absorb(self, bytes data, Py_ssize_t* used) except -1


cdef class ProtocolSink(Sink):
    cdef object protocol
    cdef char* place                 # where the last read went
    cdef PyObject* piece             # the bytes object it went into, when much is expected; else NULL
    cdef bint bulk                   # the last read brought much
    cdef Py_ssize_t room             # for the next, if so
    cdef object received(self, Py_ssize_t count)


cdef class BufferedSink(Sink):
    cdef object protocol
    cdef Py_buffer view              # the protocol's memory, while it is `lent` to a read
    cdef bint lent
