"""What a connection reads into: the protocol's own callbacks, or a parser."""

from cpython.buffer cimport (
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.string cimport memcpy

from cyreactor import limits

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize" (const char* data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject** data, Py_ssize_t size) except -1
    void Py_CLEAR(PyObject* reference)

cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef Py_ssize_t BULK_READ = limits.BULK_READ
cdef Py_ssize_t BULK_SIZE = limits.BULK_SIZE


cdef class Sink:
    """The receive side of a connection; see sink.pxd for the contract."""

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        return scratch

    cdef int commit(self, Py_ssize_t count) except -1:
        return 0

    cpdef bytes take(self):
        return b""

    def pour(self, bytes data):
        """Feed bytes that come from elsewhere: whether that failed, and how many were taken.

        No bytes mean: deliver what was held back.
        """
        cdef Py_ssize_t used = 0
        cdef int failed = self.absorb(data, &used) if data else self.commit(0)
        return failed != 0, used

    cdef int absorb(self, bytes data, Py_ssize_t* used) except -1:
        """Feed bytes that come from elsewhere; `used` says how many were taken before a halt."""
        cdef char* source = PyBytes_AS_STRING(data)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t size
        cdef char* place
        cdef int failed = 0
        used[0] = 0
        while used[0] < length and not self.halted and not failed:
            size = length - used[0]
            place = self.reserve(source + used[0], &size)
            size = min(size, length - used[0])
            if place != source + used[0]:
                memcpy(place, source + used[0], size)
            used[0] += size
            failed = self.commit(size)
        return failed


cdef class ProtocolSink(Sink):
    """Bytes as they come, for ``data_received``."""

    def __cinit__(self, protocol):
        self.protocol = protocol
        self.callback = "data_received"

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        self.place = scratch
        if self.bulk:  # cheaper than to copy it
            size[0] = self.room
            self.piece = new_bytes(NULL, self.room)
            self.place = PyBytes_AS_STRING(<object> self.piece)
        return self.place

    cdef int commit(self, Py_ssize_t count) except -1:
        if count:
            self.protocol.data_received(self.received(count))
        elif self.piece != NULL:
            Py_CLEAR(self.piece)
        return 0

    cdef object received(self, Py_ssize_t count):
        self.bulk = count >= BULK_READ
        self.room = BULK_SIZE if count >= READ_SIZE else READ_SIZE
        if self.piece == NULL:
            return PyBytes_FromStringAndSize(self.place, count)
        cdef PyObject* piece = self.piece
        self.piece = NULL
        _PyBytes_Resize(&piece, count)
        data = <object> piece
        Py_DECREF(data)
        return data

    def __dealloc__(self):
        Py_CLEAR(self.piece)


cdef class BufferedSink(Sink):
    """The protocol's own memory, for ``get_buffer`` and ``buffer_updated``."""

    def __cinit__(self, protocol):
        self.protocol = protocol
        self.callback = "get_buffer"

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        self.callback = "get_buffer"
        buffer = self.protocol.get_buffer(-1)
        PyObject_GetBuffer(buffer, &self.view, PyBUF_WRITABLE)
        self.lent = True
        if self.view.len == 0:
            raise RuntimeError("get_buffer() returned an empty buffer")
        size[0] = self.view.len
        return <char*> self.view.buf

    cdef int commit(self, Py_ssize_t count) except -1:
        if self.lent:
            self.lent = False
            PyBuffer_Release(&self.view)
        if count:
            self.callback = "buffer_updated"
            self.protocol.buffer_updated(count)
        return 0

    def __dealloc__(self):
        if self.lent:
            PyBuffer_Release(&self.view)
