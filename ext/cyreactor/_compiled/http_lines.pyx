"""The lines of HTTP/1.1: what is well-formed (RFC 9110, 5; RFC 9112, 3, 4, 5 and 7.1).

A function that reads a line returns where the next one starts, or 0 if the line is malformed or
incomplete; the verdict on such a line is given by ``cyreactor._faults``. None of them touches a Python
object, and none reads at or beyond ``size``.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    /* The first byte of a word in memory whose highest bit is set in `hits`; the bits below it are exact. */
    #if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static inline int first_hit(unsigned long long hits) { return __builtin_ctzll(hits) >> 3; }
    #else
    static inline int first_hit(unsigned long long hits) { return 0; }
    #endif
    """
    int first_hit(uint64_t hits) noexcept

ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


cdef int fill_tables() except -1:
    cdef int i
    for i in range(256):
        LOWER[i] = i + 32 if 65 <= i <= 90 else i
        KIND[i] = 0
        if i in ALPHANUMERIC + b"!#$%&'*+-.^_`|~":
            KIND[i] |= TOKEN
        if 33 <= i <= 126:
            KIND[i] |= VISIBLE
        if i == 9 or i >= 32 and i != 127:
            KIND[i] |= VALUE
        if i in ALPHANUMERIC + b"-._~%!$&'()*+,;=:[]":
            KIND[i] |= HOST
    return 0


fill_tables()


cdef bint same(const char* text, const char* lower, Py_ssize_t size) noexcept:
    """Whether they are the same but for case."""
    cdef Py_ssize_t i
    for i in range(size):
        if LOWER[<unsigned char> text[i]] != LOWER[<unsigned char> lower[i]]:
            return False
    return True


cdef int options_of(const char* list, Py_ssize_t size) noexcept:
    """The options in a list of comma-separated ones, as bits."""
    cdef Py_ssize_t at = 0, end, after
    cdef int found = 0
    while at < size:
        after = at
        while after < size and list[after] != 44:
            after += 1
        end = after
        while at < end and (list[at] == 32 or list[at] == 9):
            at += 1
        while at < end and (list[end - 1] == 32 or list[end - 1] == 9):
            end -= 1
        found |= option_of(list + at, end - at)
        at = after + 1
    return found


cdef int option_of(const char* name, Py_ssize_t size) noexcept:
    if size == 5 and same(name, "close", 5):
        return CLOSE
    if size == 10 and same(name, "keep-alive", 10):
        return KEEP_ALIVE
    if size == 7 and same(name, "upgrade", 7):
        return UPGRADE
    return 0


cdef Py_ssize_t skip_value(const char* data, Py_ssize_t at, Py_ssize_t size) noexcept:
    """The first control character from there on, a tab not counted; eight bytes at a time."""
    cdef uint64_t word, rest, hits
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        rest = word ^ 0x7F7F7F7F7F7F7F7Full
        hits = (word - 0x2020202020202020ull) & ~word | (rest - 0x0101010101010101ull) & ~rest
        hits &= 0x8080808080808080ull
        if hits == 0:
            at += 8
            continue
        at += first_hit(hits)
        if not KIND[<unsigned char> data[at]] & VALUE:
            return at
        at += 1
    while at < size and KIND[<unsigned char> data[at]] & VALUE:
        at += 1
    return at


cdef inline bint ends_line(const char* data, Py_ssize_t at, Py_ssize_t size) noexcept:
    return at + 2 <= size and data[at] == 13 and data[at + 1] == 10


cdef Py_ssize_t read_field_line(const char* data, Py_ssize_t at, Py_ssize_t size, Field* field) noexcept:
    cdef Py_ssize_t start = at, end
    while at < size and KIND[<unsigned char> data[at]] & TOKEN:
        at += 1
    if at == start or at == size or data[at] != 58:
        return 0
    field.name = <uint32_t> start
    field.name_size = <uint32_t> (at - start)
    at += 1
    while at < size and (data[at] == 32 or data[at] == 9):
        at += 1
    start = at
    end = at = skip_value(data, at, size)
    if not ends_line(data, at, size):
        return 0
    while end > start and (data[end - 1] == 32 or data[end - 1] == 9):
        end -= 1
    field.value = <uint32_t> start
    field.value_size = <uint32_t> (end - start)
    return at + 2


cdef Py_ssize_t read_request_line(const char* data, Py_ssize_t size, Field* parts, int* minor) noexcept:
    """The method goes where a field's name does, the target where its value does."""
    cdef Py_ssize_t at = 0
    while at < size and KIND[<unsigned char> data[at]] & TOKEN:
        at += 1
    if at == 0 or at == size or data[at] != 32:
        return 0
    parts.name = 0
    parts.name_size = <uint32_t> at
    at += 1
    parts.value = <uint32_t> at
    while at < size and KIND[<unsigned char> data[at]] & VISIBLE:
        at += 1
    if <uint32_t> at == parts.value or size - at < 11 or memcmp(data + at, " HTTP/1.", 8) != 0:
        return 0
    parts.value_size = <uint32_t> at - parts.value
    minor[0] = data[at + 8] - 48
    if not 0 <= minor[0] <= 9 or not ends_line(data, at + 9, size):
        return 0
    return at + 11


cdef Py_ssize_t read_status_line(
    const char* data, Py_ssize_t size, Field* parts, int* minor, int* status
) noexcept:
    """The reason goes where a field's value does."""
    cdef Py_ssize_t at = 12, i
    if size < 14 or memcmp(data, "HTTP/1.", 7) != 0 or not 48 <= data[7] <= 57 or data[8] != 32:
        return 0
    status[0] = 0
    for i in range(9, 12):
        if not 48 <= data[i] <= 57:
            return 0
        status[0] = status[0] * 10 + data[i] - 48
    minor[0] = data[7] - 48
    if status[0] < 100:
        return 0
    if data[12] == 32:
        at = skip_value(data, 13, size)
    parts.value = 13
    parts.value_size = <uint32_t> at - 13 if at > 13 else 0
    return at + 2 if ends_line(data, at, size) else 0


cdef Py_ssize_t read_chunk_line(
    const char* data, Py_ssize_t size, uint64_t* length, Py_ssize_t* extension
) noexcept:
    """The size goes where `length` points, the bytes of the extensions where `extension` does."""
    cdef Py_ssize_t at = 0, start
    cdef int digit
    while at < size and at < 17:
        digit = hexadecimal(data[at])
        if digit < 0:
            break
        length[0] = length[0] << 4 | <uint64_t> digit
        at += 1
    if at == 0 or at == 17:
        return 0
    start = at
    if at < size and data[at] == 59:
        at = skip_value(data, at, size)
    extension[0] = at - start
    return at + 2 if at + 2 <= size and data[at] == 13 and data[at + 1] == 10 else 0


cdef int hexadecimal(char digit) noexcept:
    if 48 <= digit <= 57:
        return digit - 48
    digit |= 32
    return digit - 87 if 97 <= digit <= 102 else -1
