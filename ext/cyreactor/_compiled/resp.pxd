# RESP parsers. All places in a message are counted from its start, and are valid whatever was fed since.

from cpython.object cimport PyObject

from .framing cimport Framer


cdef class Parser(Framer):
    cdef readonly Py_ssize_t max_elements
    cdef public int version          # of the protocol, for what is sent
    cdef Py_ssize_t after            # where the length or the string that was read last ends
    cdef Py_ssize_t sought           # bytes from `scanned` on that hold no end of a line
    cdef bint parsing                # objects are being made: a finalizer must not touch the bytes

    cdef object parse(self)
    cdef int check_idle(self) except -1
    cdef int forget(self) except -1
    cdef Py_ssize_t line(
        self, const char* data, Py_ssize_t size, Py_ssize_t at, Py_ssize_t limit, str name
    ) except -2
    cdef Py_ssize_t read_length(self, const char* data, Py_ssize_t size, Py_ssize_t at, str name) except -3
    cdef object string(self, const char* data, Py_ssize_t size, Py_ssize_t at)
    cdef int invalid_length(self, str name) except -1


cdef class CommandParser(Parser):
    cdef list items                  # the words of the command that is coming; None between commands
    cdef Py_ssize_t filled           # places of items that are taken
    cdef Py_ssize_t remaining        # words that it still lacks

    cdef bint begin(self, const char* data, Py_ssize_t size) except -1
    cdef object inline_words(self, const char* data, Py_ssize_t size)


cdef struct Level:
    PyObject* items                  # a list, which this owns: places for all elements, or for a part
    Py_ssize_t filled                # places that are taken
    Py_ssize_t remaining             # elements that it still lacks, keys and values counted
    char kind                        # the first byte of the container
    bint frozen                      # it is a key of a map or a member of a set, or is in one


cdef class ReplyParser(Parser):
    cdef Level* levels               # the containers around the next element, the innermost last
    cdef int depth                   # how many
    cdef int capacity_of_levels
    cdef Py_ssize_t elements         # announced by all containers of this reply
    cdef dict coming                 # the attributes of this reply
    cdef readonly dict attributes    # those of the last one

    cdef int drop_levels(self) except -1
    cdef int add_level(self, char kind, Py_ssize_t count, list items) except -1
    cdef int grow_levels(self) except -1
    cdef object whole(self, object value)
    cdef object value(self, const char* data, Py_ssize_t size, Py_ssize_t at)
    cdef object scalar(self, const char* data, Py_ssize_t size, Py_ssize_t at)
    cdef object text(self, const char* data, Py_ssize_t size, Py_ssize_t at)
    cdef object converted(self, object convert, bytes text)
    cdef object open(self, const char* data, Py_ssize_t size, Py_ssize_t at)
    cdef object close(self)
