# What a stream reader reads from: bytes kept until a coroutine asks for them.

from .intake cimport Intake


cdef class StreamSink(Intake):
    cdef public object _loop
    cdef readonly object _transport  # held back while too much waits; None where it cannot be
    cdef readonly object _waiter     # a future, while a coroutine waits for more
    cdef readonly object _exception  # what broke the stream: raised by every read
    cdef readonly Py_ssize_t _limit  # of a line; twice as much may wait before reading pauses
    cdef readonly bint _eof
    cdef readonly bint _paused       # the transport is held back
    cdef Py_ssize_t wanted           # bytes that the waiter needs: it is woken for no less
    cdef Py_ssize_t scanned          # bytes from start on that were searched in vain
    cdef object sought               # what for

    cdef Py_ssize_t resume_search(self, object separators) except -1
    cdef object cut(self, Py_ssize_t count)
    cdef int wake(self) except -1
    cdef int throttle(self) except -1
