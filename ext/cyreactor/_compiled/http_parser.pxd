# What the parsers of HTTP/1.1 have in common: lines, heads and bodies.

from libc.stdint cimport int64_t

from .framing cimport Framer
from .http_head cimport Headers, Message


cdef enum Stage:        # what comes next
    HEAD
    COUNTED             # a body of so many bytes
    CHUNK               # the line before a chunk
    DATA                # a chunk
    MARK                # the CR LF after it
    TRAILERS
    ENDLESS             # a body that lasts until the end of the connection
    END                 # nothing; the End of a streamed message is due
    OVER                # nothing that counts


cdef class End:
    cdef readonly Headers trailers


cdef class Parser(Framer):
    cdef readonly bint streaming
    cdef readonly Py_ssize_t max_line
    cdef readonly Py_ssize_t max_head
    cdef readonly Py_ssize_t max_headers
    cdef readonly int64_t max_body
    cdef public bint held            # nothing is delivered while it is set
    cdef bint pulled                 # the protocol takes the messages itself
    cdef bint ended                  # no more bytes will come
    cdef Stage stage
    cdef Message message             # the one that is being received, from its first line on
    cdef Headers trailers            # of the message
    cdef Py_ssize_t line             # bytes from start on that are whole lines, read already
    cdef int64_t left                # bytes of the body, or of the chunk, that are to come
    cdef int64_t received            # bytes of the body that were announced or came
    cdef Py_ssize_t extensions       # bytes of chunk extensions
    cdef bytearray gathered          # a chunked body, so far; None before its first piece
    cdef bint skipped                # the empty line before a request
    cdef bint told                   # that the client waits for 100 (Continue)

    cdef int start_over(self) except -1
    cdef int receive(self, object message) except -1
    cdef object step(self)
    cdef bint waits(self, Py_ssize_t limit) except -1
    cdef bint lacks_end(self, Py_ssize_t limit, object fault) except -1
    cdef int take_line(self, Py_ssize_t next_line, Py_ssize_t limit) except -1
    cdef object too_large(self)
    cdef bint read_fields(self, Headers headers, Message message) except -1
    cdef int consume(self, Py_ssize_t count) except -1
    cdef object read_head(self)
    cdef Message read_first_line(self)
    cdef Stage body_of(self, Message message)
    cdef bint hands_over(self, Message message)
    cdef object complete(self, bytes body)
    cdef bytes piece(self, Py_ssize_t size)
    cdef object read_counted(self)
    cdef object read_piece(self, Stage after)
    cdef object read_chunk(self)
    cdef object read_mark(self)
    cdef object read_trailers(self)
    cdef object read_endless(self)
