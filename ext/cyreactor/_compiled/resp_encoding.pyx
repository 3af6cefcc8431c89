"""RESP as it is sent: commands from their words, replies from Python values."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy

from cyreactor import limits
from cyreactor._resp import Push, as_version, as_word, encode_scalar

cdef extern from "Python.h":
    bint PyLong_CheckExact(object value)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    bint PyUnicode_IS_COMPACT_ASCII(object value)
    const char* PyUnicode_1BYTE_DATA(object value)
    Py_ssize_t PyUnicode_GET_LENGTH(object value)

cdef int RESP_DEPTH = limits.RESP_DEPTH
cdef object PUSH = Push
cdef object SCALAR = encode_scalar
cdef object WORD = as_word


def encode_command(*words):
    """A command as an array of bulk strings. Words are bytes-like objects, str, int or float."""
    return encode_commands((words,))


cpdef bytes encode_commands(object commands):
    """Several commands one after the other, each a list or tuple of words."""
    cdef Output out
    begin(&out)
    try:
        for words in commands:
            put_command(&out, words)
        return PyBytes_FromStringAndSize(out.memory, out.size)
    finally:
        end(&out)


cpdef bytes encode_reply(object value, int version=2):
    """A Python value as a reply of the protocol's version 2 or 3.

    str is a simple string (ValueError where it holds a CR or LF), a bytes-like object a bulk string,
    an exception an error: a ReplyError as it is, any other after ``ERR``. In version 2, which has no
    such types, None is a null bulk string, a bool the integer 1 or 0, a float and an integer of more
    than 64 bits a bulk string, a dict an array of keys and values, a set and a Push an array.

    Raises TypeError for other types and ValueError for what is nested deeper than a parser takes.
    """
    cdef Output out
    check(version)
    begin(&out)
    try:
        put(&out, value, version, 0)
        return PyBytes_FromStringAndSize(out.memory, out.size)
    finally:
        end(&out)


cpdef bytes encode_replies(object values, int version=2):
    """Several values as replies one after the other, see ``encode_reply``."""
    cdef Output out
    check(version)
    begin(&out)
    try:
        for value in values:
            put(&out, value, version, 0)
        return PyBytes_FromStringAndSize(out.memory, out.size)
    finally:
        end(&out)


cdef int put_command(Output* out, object words) except -1:
    if not isinstance(words, (list, tuple)):  # a str would be taken for its letters
        raise TypeError(f"a command is a list or tuple of words, not {type(words).__name__!r}")
    if not words:
        raise ValueError("a command has one word at least")
    whole = tuple(words)  # a word's conversion may change the list
    put_number(out, b"*", len(whole))
    for word in whole:
        put_bulk(out, word if type(word) is bytes else WORD(word))
    return 0


cdef int put(Output* out, object value, int version, int depth) except -1:
    """Encode a value that is `depth` containers deep."""
    cdef int overflow = 0
    cdef long long number
    if type(value) is bytes:
        return put_bulk(out, value)
    if value is None:
        return append(out, b"_\r\n" if version == 3 else b"$-1\r\n")
    if type(value) is str and PyUnicode_IS_COMPACT_ASCII(value):
        return put_line(out, value)
    if PyLong_CheckExact(value):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if not overflow:
            return put_number(out, b":", number)
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        return put_container(out, value, version, depth)
    return append(out, SCALAR(value, version))


cdef int put_container(Output* out, object value, int version, int depth) except -1:
    cdef char mark = b"*"
    cdef Py_ssize_t count = len(value)
    if depth == RESP_DEPTH:
        raise ValueError(f"a reply must not be nested deeper than {RESP_DEPTH}")
    items = value
    if isinstance(value, dict):
        if version == 3:
            mark = b"%"
        else:
            count *= 2
        items = [item for pair in value.items() for item in pair]
    elif version == 3 and isinstance(value, (set, frozenset)):
        mark = b"~"
    elif version == 3 and isinstance(value, PUSH):
        mark = b">"
    put_number(out, mark, count)
    for item in items:
        put(out, item, version, depth + 1)
    return 0


# --- the bytes ---

cdef int check(int version) except -1:
    if version != 2 and version != 3:
        as_version(version)
    return 0


cdef int put_bulk(Output* out, bytes body) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef char* at
    put_number(out, b"$", size)
    at = room(out, size + 2)
    memcpy(at, PyBytes_AS_STRING(body), size)
    memcpy(at + size, b"\r\n", 2)
    return 0


cdef int put_line(Output* out, str text) except -1:
    """A simple string of ASCII."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef const char* data = PyUnicode_1BYTE_DATA(text)
    cdef char* at
    if memchr(data, 13, size) != NULL or memchr(data, 10, size) != NULL:
        return append(out, SCALAR(text, 2))  # which raises
    at = room(out, size + 3)
    at[0] = b"+"
    memcpy(at + 1, data, size)
    memcpy(at + 1 + size, b"\r\n", 2)
    return 0


cdef int put_number(Output* out, char mark, long long number) except -1:
    """A line of one integer: 24 bytes at most."""
    cdef char[24] line
    cdef int i = 22
    cdef unsigned long long rest = <unsigned long long> number
    cdef char* at
    if number < 0:
        rest = 0 - rest
    line[22] = 13
    line[23] = 10
    while True:
        i -= 1
        line[i] = <char> (48 + rest % 10)
        rest //= 10
        if rest == 0:
            break
    if number < 0:
        i -= 1
        line[i] = b"-"
    i -= 1
    line[i] = mark
    at = room(out, 24 - i)
    memcpy(at, line + i, 24 - i)
    return 0


cdef int append(Output* out, bytes piece) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(piece)
    memcpy(room(out, size), PyBytes_AS_STRING(piece), size)
    return 0


cdef int begin(Output* out) noexcept:
    out.memory = out.small
    out.size = 0
    out.capacity = sizeof(out.small)
    return 0


cdef int end(Output* out) noexcept:
    if out.memory != out.small:
        free(out.memory)
    return 0


cdef char* room(Output* out, Py_ssize_t count) except NULL:
    """Where the next `count` bytes are written."""
    cdef char* at
    if out.capacity - out.size < count:
        grow(out, count)
    at = out.memory + out.size
    out.size += count
    return at


cdef int grow(Output* out, Py_ssize_t count) except -1:
    """No overflow: all that is counted lies in memory already."""
    cdef Py_ssize_t capacity = 2 * out.size + count
    cdef char* grown
    if out.memory == out.small:
        grown = <char*> malloc(capacity)
        if grown != NULL:
            memcpy(grown, out.small, out.size)
    else:
        grown = <char*> realloc(out.memory, capacity)
    if grown == NULL:
        raise MemoryError
    out.memory = grown
    out.capacity = capacity
    return 0
