# A stream reader: bytes kept until a coroutine asks for them, and what the coroutine awaits.

from .intake cimport Intake


cdef enum Kind:
    LINE
    NEXT_LINE       # of an iteration: the end of the stream is its end
    UNTIL
    EXACTLY
    SOME


cdef class StreamReader(Intake):
    cdef public object _loop
    cdef public object _transport  # held back while too much waits; None where it cannot be
    cdef public object _waiter     # a future, while a coroutine waits for more
    cdef public object _exception  # what broke the stream: raised by every read
    cdef public Py_ssize_t _limit    # of a line; twice as much may wait before reading pauses
    cdef public bint _eof
    cdef public bint _paused         # the transport is held back
    cdef Py_ssize_t wanted           # bytes that the waiter needs: it is woken for no less
    cdef Py_ssize_t scanned          # bytes from start on that were searched in vain
    cdef object sought               # what for

    cdef Py_ssize_t resume_search(self, object separators) except -1
    cdef object take_line(self)
    cdef object take_until(self, object separators)
    cdef object take_exactly(self, Py_ssize_t count)
    cdef object take_some(self, Py_ssize_t count)
    cdef object more(self, Kind kind, Py_ssize_t count)
    cdef object cut(self, Py_ssize_t count)
    cdef int wake(self) except -1
    cdef int throttle(self) except -1
    cdef int release(self) except -1


cdef class Reading:
    cdef StreamReader reader           # None when it is over
    cdef Kind kind
    cdef bint begun                  # somebody awaits it
    cdef object asked                # the argument: a number; or separators, once begun the shortest first
    cdef Py_ssize_t count            # that number, once begun
    cdef object future               # of the reader, since it waits
    cdef object waiting              # its iterator

    cdef int begin(self, StreamReader reader) except -1
    cdef int end(self) except -1
    cdef object attempt(self, StreamReader reader)
