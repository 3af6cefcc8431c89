"""The heads of HTTP/1.1 messages (RFC 9110, RFC 9112): fields, and what they say of the message.

Which fields matter to the framing is decided here, field by field as the lines come; anything that two
parsers could read in two ways is refused, because that is what request smuggling lives on.

A head is one copy of its bytes with the places of the fields beside it; Python objects are made of
them when they are asked for. The functions at the end read single lines: they take what is well-formed
and complete at a glance, and leave the verdict on everything else to ``cyreactor._faults``.
"""

from collections.abc import Sequence

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy

from cyreactor import _faults as faults
from cyreactor import limits
from cyreactor.errors import HTTPError

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

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

cdef int LENGTH_DIGITS = limits.LENGTH_DIGITS

# What a byte may be part of, as bits of a table: names, targets, values, the name of a host.
cdef enum:
    TOKEN = 1
    VISIBLE = 2
    VALUE = 4
    HOST = 8
cdef unsigned char[256] KIND
cdef unsigned char[256] LOWER

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


@cython.no_gc
@cython.freelist(64)
cdef class Headers:
    """Fields in their order, as pairs of bytes: the name as it was sent, the value without the
    whitespace around it. Looking up by name ignores case; ``name in headers`` asks for a name.

    ``Headers(pairs)`` raises ValueError for a name or a value that cannot be sent.
    """

    def __init__(self, pairs=()):
        cdef Field field
        if self.text != NULL:
            raise TypeError("Headers do not change")
        own = Headers.__new__(Headers)
        text = bytearray()
        for name, value in pairs:
            name, value = bytes(name), bytes(value)
            if not faults.TOKEN.fullmatch(name):
                raise ValueError(f"a field's name must be a token, not {name!r}")
            if faults.CONTROL.search(value) or value.strip(b" \t") != value:
                raise ValueError(f"a field's value must not contain controls nor end in blanks: {value!r}")
            if len(text) + len(name) + len(value) > 0x7FFFFFFF:
                raise ValueError("too many fields")
            field.name, field.name_size = len(text), len(name)
            field.value, field.value_size = len(text) + len(name), len(value)
            (<Headers> own).add(&field)
            text += name + value
        (<Headers> own).seal(<const char*> text, len(text))
        swap(self, <Headers> own)

    def __dealloc__(self):
        free(self.fields)
        free(self.text)

    def get(self, name, default=None):
        """The value of the first field of that name; ``default`` where there is none."""
        cdef Py_ssize_t size = 0
        cdef const char* wanted = name_of(name, &size)
        cdef Py_ssize_t i = self.index_of(wanted, size, 0)
        return default if i < 0 else self.value(i)

    def get_all(self, name):
        """The values of all fields of that name, in order."""
        cdef Py_ssize_t size = 0
        cdef const char* wanted = name_of(name, &size)
        cdef Py_ssize_t i = self.index_of(wanted, size, 0)
        values = []
        while i >= 0:
            values.append(self.value(i))
            i = self.index_of(wanted, size, i + 1)
        return values

    def __contains__(self, name):
        cdef Py_ssize_t size = 0
        cdef const char* wanted = name_of(name, &size)
        return self.index_of(wanted, size, 0) >= 0

    def __len__(self):
        return self.filled

    def __getitem__(self, index):
        cdef Py_ssize_t i
        if isinstance(index, slice):
            return self.pairs()[index]
        i = index
        if i < 0:
            i += self.filled
        if i < 0 or i >= self.filled:
            raise IndexError("no such field")
        return self.pair(i)

    def __iter__(self):
        return iter(self.pairs())

    def __eq__(self, other):
        if not isinstance(other, (Headers, list, tuple)):
            return NotImplemented
        return self.pairs() == list(other)

    __hash__ = None

    def __repr__(self):
        return f"Headers({self.pairs()!r})"

    def index(self, *args):
        """As of any sequence: the place of a pair."""
        return self.pairs().index(*args)

    def count(self, pair):
        """As of any sequence: how often a pair is there."""
        return self.pairs().count(pair)

    # --- the memory ---

    cdef int add(self, const Field* field) except -1:
        cdef Field* grown
        if self.filled == self.capacity:
            grown = <Field*> realloc(self.fields, max(16, 2 * self.capacity) * sizeof(Field))
            if grown == NULL:
                raise MemoryError
            self.fields = grown
            self.capacity = max(16, 2 * self.capacity)
        self.fields[self.filled] = field[0]
        self.filled += 1
        return 0

    cdef int seal(self, const char* text, Py_ssize_t size) except -1:
        """The head is complete: keep a copy of its bytes."""
        self.text = <char*> malloc(size + 1)
        if self.text == NULL:
            self.filled = 0
            raise MemoryError
        memcpy(self.text, text, size)
        return 0

    cdef Py_ssize_t index_of(self, const char* name, Py_ssize_t size, Py_ssize_t start) noexcept:
        cdef Py_ssize_t i
        for i in range(start, self.filled):
            if self.fields[i].name_size == size and same(self.text + self.fields[i].name, name, size):
                return i
        return -1

    cdef bytes value(self, Py_ssize_t i):
        return PyBytes_FromStringAndSize(self.text + self.fields[i].value, self.fields[i].value_size)

    cdef tuple pair(self, Py_ssize_t i):
        name = PyBytes_FromStringAndSize(self.text + self.fields[i].name, self.fields[i].name_size)
        return name, self.value(i)

    cdef list pairs(self):
        cdef Py_ssize_t i
        return [self.pair(i) for i in range(self.filled)]


Sequence.register(Headers)

cdef Headers NO_HEADERS = Headers()


cdef int swap(Headers one, Headers other) except -1:
    one.fields, other.fields = other.fields, one.fields
    one.text, other.text = other.text, one.text
    one.filled, other.filled = other.filled, one.filled
    one.capacity, other.capacity = other.capacity, one.capacity
    return 0


cdef const char* name_of(object name, Py_ssize_t* size) except NULL:
    """The bytes of a name that is asked for, as long as that object lives; none where no field has it."""
    if type(name) is bytes:
        size[0] = PyBytes_GET_SIZE(name)
        return PyBytes_AS_STRING(name)
    if isinstance(name, str):
        if not (<str> name).isascii():
            size[0] = 0
            return ""
        return PyUnicode_AsUTF8AndSize(name, size)
    if isinstance(name, bytes):
        size[0] = PyBytes_GET_SIZE(name)
        return PyBytes_AS_STRING(name)
    raise TypeError(f"a field's name is bytes or str, not {type(name).__name__!r}")


@cython.no_gc
cdef class Message:
    """What requests and responses have in common. Parsers make them; nobody else needs to."""

    def __cinit__(self):
        self.headers = Headers.__new__(Headers)
        self.trailers = NO_HEADERS
        self.body = b""
        self.length = -1

    @property
    def version(self):
        return (1, self.minor)

    @property
    def content_length(self):
        return None if self.length < 0 else self.length

    @property
    def keep_alive(self):
        """Whether another message may follow on the connection (RFC 9112, 9.3)."""
        return self.stays()

    @property
    def upgrade(self):
        """The Upgrade field, where Connection lists it too; None in HTTP/1.0 (RFC 9110, 7.8)."""
        if not self.options & UPGRADE or self.minor < 1:
            return None
        return b", ".join(self.headers.get_all(b"upgrade")).decode("latin-1") or None

    # --- while the head is parsed ---

    cdef int take_field(self, const char* head, const Field* field) except -1:
        """A field came: keep it, and what it says. Raises HTTPError."""
        cdef const char* name = head + field.name
        cdef const char* value = head + field.value
        self.headers.add(field)
        if field.name_size == 10 and same(name, "connection", 10):
            self.options |= options_of(value, field.value_size)
        elif field.name_size == 14 and same(name, "content-length", 14):
            self.take_length(value, field.value_size)
        elif field.name_size == 17 and same(name, "transfer-encoding", 17):
            self.take_coding(value, field.value_size)
        return 0

    cdef int take_length(self, const char* value, Py_ssize_t size) except -1:
        cdef int64_t length = 0
        cdef Py_ssize_t i
        if self.length >= 0:
            raise HTTPError("Content-Length is repeated")
        if self.chunked:
            raise HTTPError("both Content-Length and Transfer-Encoding")
        for i in range(size):
            if not 48 <= value[i] <= 57:
                break
        else:
            i = size
        if size == 0 or i < size:
            raise HTTPError("Content-Length is not a decimal number")
        if size > LENGTH_DIGITS:
            raise HTTPError("Content-Length is beyond all bounds", 413)
        for i in range(size):
            length = length * 10 + value[i] - 48
        self.length = length
        return 0

    cdef int take_coding(self, const char* value, Py_ssize_t size) except -1:
        if self.minor < 1:
            raise HTTPError("Transfer-Encoding in HTTP/1.0")
        if self.chunked:
            raise HTTPError("Transfer-Encoding is repeated")
        if self.length >= 0:
            raise HTTPError("both Content-Length and Transfer-Encoding")
        if size != 7 or not same(value, "chunked", 7):
            raise faults.transfer_encoding(PyBytes_FromStringAndSize(value, size))
        self.chunked = True
        return 0

    cdef int take_end(self) except -1:
        """The head ended. Raises HTTPError for what is missing."""
        return 0

    cdef bint stays(self) noexcept:
        if self.options & CLOSE:
            return False
        return self.minor >= 1 or self.options & KEEP_ALIVE


cdef class Request(Message):
    """A request: ``method`` and ``target`` as they were sent."""

    def __init__(self):
        raise TypeError("a Request comes from a RequestParser")

    @property
    def target(self):
        if self.path is None and self.headers.text != NULL:
            self.path = PyUnicode_DecodeASCII(self.headers.text + self.path_start, self.path_size, NULL)
        return self.path

    @property
    def expects_continue(self):
        """Whether the client waits for 100 (Continue) before it sends the body (RFC 9110, 10.1.1)."""
        return self.expecting and (self.chunked or self.length > 0)

    @property
    def ordinary(self):
        """Whether the framing of an answer depends on nothing but the answer: HTTP/1.1, on a
        connection that goes on, and neither HEAD nor CONNECT."""
        return self.is_ordinary()

    cdef bint is_ordinary(self) except -1:
        return self.minor >= 1 and self.stays() and self.method != "HEAD" and self.method != "CONNECT"

    cdef int take_field(self, const char* head, const Field* field) except -1:
        if field.name_size == 4 and same(head + field.name, "host", 4):
            self.headers.add(field)
            return self.take_host(head + field.value, field.value_size)
        if field.name_size == 6 and same(head + field.name, "expect", 6):
            self.take_expectation(head + field.value, field.value_size)
        return Message.take_field(self, head, field)

    cdef int take_expectation(self, const char* value, Py_ssize_t size) except -1:
        if self.minor < 1:
            return 0  # to be ignored (RFC 9110, 10.1.1)
        if size != 12 or not same(value, "100-continue", 12):
            raise HTTPError("nothing but 100-continue can be expected", 417)
        self.expecting = True
        return 0

    cdef int take_host(self, const char* value, Py_ssize_t size) except -1:
        cdef Py_ssize_t i
        if self.host:
            raise HTTPError("Host is repeated")
        for i in range(size):
            if not KIND[<unsigned char> value[i]] & HOST:
                raise HTTPError("Host is not a host's name")
        self.host = True
        return 0

    cdef int take_end(self) except -1:
        if not self.host and self.minor >= 1:
            raise HTTPError("Host is missing")
        return 0

    def __repr__(self):
        return f"<Request {self.method} {self.target}>"


cdef class Response(Message):
    """A response: ``status`` and ``reason`` as they were sent."""

    def __init__(self):
        raise TypeError("a Response comes from a ResponseParser")

    @property
    def reason(self):
        if self.headers.text == NULL:
            return b""
        return PyBytes_FromStringAndSize(self.headers.text + self.reason_start, self.reason_size)

    cdef bint stays(self) noexcept:
        return self.status < 200 or not self.endless and Message.stays(self)

    def __repr__(self):
        return f"<Response {self.status}>"


# --- the bytes ---


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


# Each of these returns where the next line starts; 0 if the line is malformed or incomplete.


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


cdef Request make_request(const char* data, const Field* parts, int minor):
    """Raises HTTPError where the target does not fit the method."""
    cdef Request request = Request.__new__(Request)
    cdef const char* path = data + parts.value
    request.minor = minor
    request.path_start, request.path_size = parts.value, parts.value_size
    request.method = method_name(data, parts.name_size)
    request.connects = request.method is CONNECT
    if path[0] != 47 or request.connects:
        fault = faults.target(request.method, PyBytes_FromStringAndSize(path, parts.value_size))
        if fault is not None:
            raise fault
    return request


cdef Response make_response(const Field* parts, int minor, int status):
    cdef Response response = Response.__new__(Response)
    response.minor = minor
    response.status = status
    response.reason_start, response.reason_size = parts.value, parts.value_size
    return response


cdef str CONNECT = "CONNECT"


cdef str method_name(const char* name, Py_ssize_t size):
    """The usual ones are not made anew."""
    if size == 3:
        if memcmp(name, "GET", 3) == 0:
            return "GET"
        if memcmp(name, "PUT", 3) == 0:
            return "PUT"
    elif size == 4:
        if memcmp(name, "POST", 4) == 0:
            return "POST"
        if memcmp(name, "HEAD", 4) == 0:
            return "HEAD"
    elif size == 5 and memcmp(name, "PATCH", 5) == 0:
        return "PATCH"
    elif size == 6 and memcmp(name, "DELETE", 6) == 0:
        return "DELETE"
    elif size == 7:
        if memcmp(name, "OPTIONS", 7) == 0:
            return "OPTIONS"
        if memcmp(name, "CONNECT", 7) == 0:
            return CONNECT
    return PyUnicode_DecodeASCII(name, size, NULL)
