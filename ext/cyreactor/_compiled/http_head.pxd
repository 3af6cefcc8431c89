# The heads of HTTP/1.1 messages: fields, and what they say of the message.

from libc.stdint cimport int64_t, uint32_t

from .http_lines cimport Field


cdef class Headers:
    cdef Field* fields               # malloc'd; NULL where there are none
    cdef Py_ssize_t filled           # how many there are
    cdef Py_ssize_t capacity         # how many there is room for
    cdef char* text                  # malloc'd, the whole head; NULL until `seal`

    cdef int add(self, const Field* field) except -1
    cdef int seal(self, const char* text, Py_ssize_t size) except -1
    cdef Py_ssize_t index_of(self, const char* name, Py_ssize_t size, Py_ssize_t start) noexcept
    cdef bytes value(self, Py_ssize_t i)
    cdef tuple pair(self, Py_ssize_t i)
    cdef list pairs(self)


cdef Headers NO_HEADERS


cdef class Message:
    cdef readonly Headers headers
    cdef readonly Headers trailers   # after a chunked body; where it is not streamed
    cdef readonly bytes body
    cdef readonly bint chunked       # as the head says, also where there is no body
    cdef int minor                   # of the version
    cdef int options                 # of Connection
    cdef int64_t length              # of the body; -1 where the head does not say

    cdef int take_field(self, const char* head, const Field* field) except -1
    cdef int take_length(self, const char* value, Py_ssize_t size) except -1
    cdef int take_coding(self, const char* value, Py_ssize_t size) except -1
    cdef int take_end(self) except -1
    cdef bint stays(self) noexcept


cdef class Request(Message):
    cdef readonly str method
    cdef str path                    # the target, once it was asked for
    cdef uint32_t path_start         # in the head
    cdef uint32_t path_size
    cdef bint connects               # the method is CONNECT
    cdef bint host                   # Host came
    cdef bint expecting              # Expect says 100-continue

    cdef bint is_ordinary(self) except -1
    cdef int take_expectation(self, const char* value, Py_ssize_t size) except -1
    cdef int take_host(self, const char* value, Py_ssize_t size) except -1


cdef class Response(Message):
    cdef readonly int status
    cdef uint32_t reason_start       # in the head
    cdef uint32_t reason_size
    cdef bint tunnel                 # another protocol follows it
    cdef bint endless                # its body lasts until the end of the connection


cdef Request make_request(const char* data, const Field* parts, int minor)
cdef Response make_response(const Field* parts, int minor, int status)
