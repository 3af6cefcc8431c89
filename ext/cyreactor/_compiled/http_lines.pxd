# The lines of HTTP/1.1: what is well-formed.

from libc.stdint cimport uint32_t, uint64_t


cdef struct Field:
    uint32_t name                    # where the name starts, in the head
    uint32_t name_size
    uint32_t value                   # where the value starts, blanks around it not counted
    uint32_t value_size


cdef enum Option:                    # what Connection can list, as bits
    CLOSE = 1
    KEEP_ALIVE = 2
    UPGRADE = 4


cdef enum Kind:                      # what a byte may be part of, as bits
    TOKEN = 1
    VISIBLE = 2                      # the target of a request
    VALUE = 4
    HOST = 8


cdef unsigned char[256] KIND         # of each byte
cdef unsigned char[256] LOWER        # each byte, letters in lower case

cdef bint same(const char* text, const char* other, Py_ssize_t size) noexcept
cdef int options_of(const char* list, Py_ssize_t size) noexcept
cdef Py_ssize_t read_request_line(const char* data, Py_ssize_t size, Field* parts, int* minor) noexcept
cdef Py_ssize_t read_status_line(
    const char* data, Py_ssize_t size, Field* parts, int* minor, int* status
) noexcept
cdef Py_ssize_t read_field_line(const char* data, Py_ssize_t at, Py_ssize_t size, Field* field) noexcept
cdef Py_ssize_t read_chunk_line(
    const char* data, Py_ssize_t size, uint64_t* length, Py_ssize_t* extension
) noexcept
