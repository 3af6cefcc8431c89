"""The heads of HTTP/1.1 messages (RFC 9110, RFC 9112): fields, and what they say of the message.

Which fields matter to the framing is decided here, field by field as the lines come; anything that two
parsers could read in two ways is refused, because that is what request smuggling lives on.

A head is one copy of its bytes with the places of the fields beside it; Python objects are made of
them when they are asked for.
"""

from collections.abc import Sequence

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy

from .http_lines cimport CLOSE, HOST, KEEP_ALIVE, KIND, UPGRADE, Field, options_of, same

from cyreactor import _faults as faults
from cyreactor import limits
from cyreactor.errors import HTTPError

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef int LENGTH_DIGITS = limits.LENGTH_DIGITS
cdef Py_ssize_t KNOWN_SIZE = 32  # of the names that are remembered, to bound what that takes


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
        return known_name(self.text + self.fields[i].name, self.fields[i].name_size), self.value(i)

    cdef list pairs(self):
        cdef Py_ssize_t i
        return [self.pair(i) for i in range(self.filled)]


Sequence.register(Headers)

# Names of fields as they came last, for the few that every message has: no name is made twice in a row.
cdef list KNOWN = [b""] * 256


cdef bytes known_name(const char* name, Py_ssize_t size):
    """The name, which has a byte at least."""
    cdef Py_ssize_t slot = (size * 31 + name[0] * 7 + name[size >> 1] * 3 + name[size - 1]) & 255
    cdef bytes found = <bytes> KNOWN[slot]
    if PyBytes_GET_SIZE(found) != size or memcmp(PyBytes_AS_STRING(found), name, size) != 0:
        found = PyBytes_FromStringAndSize(name, size)
        if size <= KNOWN_SIZE:
            KNOWN[slot] = found
    return found


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
        return self.minor >= 1 and self.stays() and not self.connects and self.method != "HEAD"

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
