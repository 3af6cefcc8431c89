"""Framers: from a stream of bytes to messages.

A framer is a sink, and works without any I/O just as well: ``feed`` it, then ask for messages.

Where the bytes are. A read goes straight into the loop's scratch when nothing is pending, and is
parsed there; only what is incomplete moves to memory of the framer's own, where the next read
continues it. So an idle connection holds no buffer, and a message that came whole is copied once,
into the object that the protocol gets.

What is never done twice: searching. ``scanned`` says how far the search got, so that a message in
many pieces costs what one in a single piece costs.

A limit applies to what is incomplete already. A framer that failed stays failed. Callbacks may feed
the framer, take its bytes or halt it: between two messages all state is in its fields.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

from cyreactor import limits
from cyreactor.errors import FramingError

cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef Py_ssize_t MESSAGE_LIMIT = limits.MESSAGE_LIMIT

# The least room for a read that continues a message.
cdef Py_ssize_t SMALL_READ = 4096


cdef class Framer(Sink):
    """The base of all framers: keeps the bytes; a subclass finds the messages."""

    def __cinit__(self, *args, **kwargs):
        self.callback = "message_received"
        self.max_length = MESSAGE_LIMIT

    def __dealloc__(self):
        free(self.own)

    # --- without I/O ---

    def feed(self, data):
        """Append bytes of the stream. Raises the FramingError of a framer that failed."""
        cdef Py_buffer view
        if self.failure is not None:
            raise self.failure
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.keep()
            self.make_room(view.len)
            memcpy(self.base + self.end, view.buf, view.len)
            self.end += view.len
        finally:
            PyBuffer_Release(&view)

    def next_message(self):
        """The next whole message as bytes; None while it is incomplete.

        Raises FramingError where the stream goes wrong, and again on every later call.
        """
        return self.cut()

    def __iter__(self):
        return self

    def __next__(self):
        message = self.cut()
        if message is None:
            raise StopIteration
        return message

    cpdef bytes frame(self, message):
        """The message as it goes over the wire."""
        raise NotImplementedError

    @property
    def pending(self):
        """Bytes that were fed and are not part of a message yet."""
        return self.end - self.start

    # --- as a sink ---

    def attach(self, protocol, transport):
        """Connect the two: messages go to ``protocol.message_received``, what is sent to the transport."""
        self.receiver = protocol
        self.transport = transport

    def send(self, message):
        """Frame a message and write it to the transport. Raises ValueError where it cannot be framed."""
        self.transport.write(self.frame(message))

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        cdef Py_ssize_t pending = self.end - self.start
        if pending == 0:
            self.base, self.start, self.end, self.lent = scratch, 0, 0, True
            return scratch
        self.make_room(max(self.needed - pending, min(max(pending, SMALL_READ), READ_SIZE)))
        size[0] = min(self.capacity - self.end, READ_SIZE)
        return self.base + self.end

    cdef int commit(self, Py_ssize_t count) except -1:
        self.end += count
        try:
            if self.receiver is not None and not self.halted:
                message_received = self.receiver.message_received
                while not self.halted:
                    message = self.cut()
                    if message is None:
                        break
                    message_received(message)
        except FramingError as exc:
            if exc is not self.failure:
                raise
            return 1
        finally:
            self.keep()
        return 0

    cpdef bytes take(self):
        self.receiver = None
        rest = PyBytes_FromStringAndSize(self.base + self.start, self.end - self.start)
        self.start = self.end = self.scanned = self.needed = 0
        return rest

    # --- the bytes ---

    cdef object cut(self):
        """Take the next message off the buffer; None while it is incomplete."""
        cdef Py_ssize_t at = self.start
        if self.failure is not None:
            raise self.failure
        if self.find(self.base + at, self.end - at) != WHOLE:
            return None
        self.start += self.total
        self.scanned = self.needed = 0
        return PyBytes_FromStringAndSize(self.base + at + self.body, self.length)

    cdef int keep(self) except -1:
        """Leave the scratch: what is undelivered moves to memory of the framer's own."""
        cdef const char* rest = self.base + self.start
        cdef Py_ssize_t pending = self.end - self.start
        if pending == 0:
            free(self.own)
            self.own = NULL
            self.capacity = 0
        elif self.lent:
            self.base, self.start, self.end = self.own, 0, 0
            self.make_room(pending)
            memcpy(self.base, rest, pending)
            self.end = pending
        if pending == 0 or self.lent:
            self.base, self.start, self.end, self.lent = self.own, 0, pending, False
        return 0

    cdef int make_room(self, Py_ssize_t room) except -1:
        """See that `own` can take that many more bytes, at its end."""
        cdef char* grown
        if self.capacity - self.end >= room:
            return 0
        if self.start:
            memmove(self.own, self.own + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        if self.capacity - self.end < room:
            grown = <char*> realloc(self.own, self.end + room)
            if grown == NULL:
                raise MemoryError
            self.own = grown
            self.capacity = self.end + room
        self.base = self.own
        return 0

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        return INCOMPLETE

    cdef Verdict too_long(self) except? BROKEN:
        return self.broken(f"message longer than {self.max_length} bytes")

    cdef Verdict broken(self, str why) except? BROKEN:
        self.failure = FramingError(why)
        raise self.failure


cdef class LineFramer(Framer):
    """Lines that end in LF; a CR before it belongs to the line's end.

    ``max_length`` is the limit on a line, in bytes, its end not counted.
    """

    def __init__(self, max_length=MESSAGE_LIMIT):
        self.max_length = positive("max_length", max_length)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        cdef const char* mark = NULL
        if size > self.scanned:
            mark = <const char*> memchr(data + self.scanned, 10, size - self.scanned)
        if mark == NULL:
            self.scanned = size
            if size > self.max_length + (size > 0 and data[size - 1] == 13):
                return self.too_long()
            return INCOMPLETE
        self.length = mark - data
        self.total = self.length + 1
        if self.length and data[self.length - 1] == 13:
            self.length -= 1
        if self.length > self.max_length:
            return self.too_long()
        return WHOLE

    cpdef bytes frame(self, message):
        """The line with its end. Raises ValueError for what is not one line within the limit."""
        cdef bytes line = as_message(self, message)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
        cdef const char* data = PyBytes_AS_STRING(line)
        if memchr(data, 10, size) != NULL or size and data[size - 1] == 13:
            raise ValueError("a line must not contain LF nor end in CR: the peer would read something else")
        return concatenate(NULL, 0, line, b"\n", 1)


cdef class DelimiterFramer(Framer):
    """Messages that end in a delimiter of one or more bytes.

    ``max_length`` is the limit on a message, in bytes, the delimiter not counted.
    """

    def __init__(self, delimiter, max_length=MESSAGE_LIMIT):
        self.delimiter = bytes(delimiter)
        if not self.delimiter:
            raise ValueError("the delimiter must not be empty")
        self.max_length = positive("max_length", max_length)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        cdef Py_ssize_t width = PyBytes_GET_SIZE(self.delimiter)
        cdef Py_ssize_t at = search(data, self.scanned, size, PyBytes_AS_STRING(self.delimiter), width)
        if at < 0:
            self.scanned = max(0, size - width + 1)
            if size >= self.max_length + width:
                return self.too_long()
            return INCOMPLETE
        if at > self.max_length:
            return self.too_long()
        self.length = at
        self.total = at + width
        return WHOLE

    cpdef bytes frame(self, message):
        """The message and the delimiter. Raises ValueError where the peer would see another message."""
        cdef bytes whole = as_message(self, message) + self.delimiter
        if whole.find(self.delimiter) != len(whole) - len(self.delimiter):
            raise ValueError(f"a message must not contain the delimiter {self.delimiter!r}")
        return whole


cdef class LengthPrefixFramer(Framer):
    """Messages after their length, an unsigned integer of ``width`` 1, 2, 4 or 8 bytes.

    ``byteorder`` is "big" or "little"; ``max_length`` the limit on a message without its prefix.
    """

    def __init__(self, width=4, byteorder="big", max_length=MESSAGE_LIMIT):
        if width not in (1, 2, 4, 8):
            raise ValueError(f"width must be 1, 2, 4 or 8 bytes, not {width!r}")
        if byteorder not in ("big", "little"):
            raise ValueError(f"byteorder must be 'big' or 'little', not {byteorder!r}")
        self.width, self.byteorder, self.little = width, byteorder, byteorder == "little"
        self.max_length = min(positive("max_length", max_length), 256**width - 1)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        cdef uint64_t length = 0
        cdef int i
        if size < self.width:
            return INCOMPLETE
        for i in range(self.width):
            length = length << 8 | <unsigned char> data[self.width - 1 - i if self.little else i]
        if length > <uint64_t> self.max_length:
            return self.too_long()
        self.needed = self.total = self.width + <Py_ssize_t> length
        if size < self.total:
            return INCOMPLETE
        self.body = self.width
        self.length = <Py_ssize_t> length
        return WHOLE

    cpdef bytes frame(self, message):
        """The message after its length. Raises ValueError for one over the limit."""
        cdef bytes body = as_message(self, message)
        cdef uint64_t length = <uint64_t> PyBytes_GET_SIZE(body)
        cdef char[8] prefix
        cdef int i
        for i in range(self.width):
            prefix[i if self.little else self.width - 1 - i] = <char> (length & 255)
            length >>= 8
        return concatenate(prefix, self.width, body, NULL, 0)


cdef class FixedLengthFramer(Framer):
    """Messages of ``size`` bytes each."""

    def __init__(self, size):
        self.size = self.max_length = positive("size", size)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        self.needed = self.total = self.length = self.size
        return WHOLE if size >= self.size else INCOMPLETE

    cpdef bytes frame(self, message):
        """The message itself. Raises ValueError for one of another size."""
        cdef bytes body = as_message(self, message)
        if len(body) != self.size:
            raise ValueError(f"a message has {self.size} bytes here, not {len(body)}")
        return body


cdef class NetstringFramer(Framer):
    """Netstrings: the length in decimal, a colon, the message, a comma (cr.yp.to/proto/netstrings.txt).

    ``max_length`` is the limit on a message, in bytes, without what is around it.
    """

    def __init__(self, max_length=MESSAGE_LIMIT):
        self.max_length = positive("max_length", max_length)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        cdef Py_ssize_t length = 0, i = 0
        while i < size and 48 <= data[i] <= 57:
            if i and data[0] == 48:
                return self.broken("netstring length with a leading zero")
            length = length * 10 + data[i] - 48
            if length > self.max_length:
                return self.too_long()
            i += 1
        if i == size:
            return INCOMPLETE
        if i == 0 or data[i] != 58:
            return self.broken("netstring without a length and a colon")
        self.body = i + 1
        self.length = length
        self.needed = self.total = i + length + 2
        if size < self.total:
            return INCOMPLETE
        if data[self.total - 1] != 44:
            return self.broken("netstring without a comma at its end")
        return WHOLE

    cpdef bytes frame(self, message):
        """The message as a netstring. Raises ValueError for one over the limit."""
        cdef bytes body = as_message(self, message)
        return b"%d:%b," % (len(body), body)


cdef Py_ssize_t positive(str name, object value) except -1:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive number of bytes, not {value!r}")
    return value


cdef bytes as_message(Framer framer, object message):
    """What is to be framed, as bytes within the framer's limit."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message must be a bytes-like object, not {type(message).__name__!r}")
    cdef bytes body = message if type(message) is bytes else bytes(message)
    if PyBytes_GET_SIZE(body) > framer.max_length:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {framer.max_length}")
    return body


cdef bytes concatenate(
    const char* head, Py_ssize_t head_size, bytes body, const char* tail, Py_ssize_t tail_size
):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, head_size + size + tail_size)
    cdef char* at = PyBytes_AS_STRING(whole)
    memcpy(at, head, head_size)
    memcpy(at + head_size, PyBytes_AS_STRING(body), size)
    memcpy(at + head_size + size, tail, tail_size)
    return whole


cdef Py_ssize_t search(
    const char* data, Py_ssize_t start, Py_ssize_t size, const char* mark, Py_ssize_t width
) noexcept:
    """Where `mark` stands in data[start:size]; -1 where it does not."""
    cdef const char* at
    while start + width <= size:
        at = <const char*> memchr(data + start, mark[0], size - width + 1 - start)
        if at == NULL:
            return -1
        if memcmp(at, mark, width) == 0:
            return at - data
        start = at - data + 1
    return -1
