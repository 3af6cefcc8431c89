# The heads of HTTP/1.1 messages: fields, and what they say of the message.

from libc.stdint cimport int64_t, uint32_t


cdef struct Field:
    uint32_t name                    # where the name starts, in the head
    uint32_t name_size
    uint32_t value                   # where the value starts, blanks around it not counted
    uint32_t value_size


cdef enum Option:                    # what Connection can list, as bits
    CLOSE = 1
    KEEP_ALIVE = 2
    UPGRADE = 4


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


cdef Py_ssize_t read_request_line(const char* data, Py_ssize_t size, Field* parts, int* minor) noexcept
cdef Py_ssize_t read_status_line(
    const char* data, Py_ssize_t size, Field* parts, int* minor, int* status
) noexcept
cdef Py_ssize_t read_field_line(const char* data, Py_ssize_t at, Py_ssize_t size, Field* field) noexcept
cdef Py_ssize_t skip_value(const char* data, Py_ssize_t at, Py_ssize_t size) noexcept
cdef Request make_request(const char* data, const Field* parts, int minor)
cdef Response make_response(const Field* parts, int minor, int status)
