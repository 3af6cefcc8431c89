"""Framers: from a stream of bytes to messages.

A framer is a sink, and works without any I/O just as well: ``feed`` it, then ask for messages.

What is never done twice: searching. ``scanned`` says how far the search got, so that a message in
many pieces costs what one in a single piece costs.

A limit applies to what is incomplete already. A framer that failed stays failed. Callbacks may feed
the framer, take its bytes or halt it: between two messages all state is in its fields.
"""

from types import GenericAlias

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy

from .intake cimport Intake

from cyreactor import limits
from cyreactor.errors import FramingError

cdef Py_ssize_t MESSAGE_LIMIT = limits.MESSAGE_LIMIT
cdef Py_ssize_t LARGEST_LIMIT = limits.LARGEST_LIMIT
cdef Py_ssize_t GATHER_FROM = limits.GATHER_FROM

# What `cut` returns while the message is incomplete: None may be one.
NOTHING = object()


cdef class Framer(Intake):
    """The base of all framers: keeps the bytes; a subclass finds the messages, of type ``M``."""

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *args, **kwargs):
        self.callback = "message_received"
        self.max_length = MESSAGE_LIMIT
        self.raw = -1

    # --- without I/O ---

    def next_message(self, default=None):
        """The next whole message; ``default`` while it is incomplete.

        Raises FramingError where the stream goes wrong, and again on every later call.
        """
        message = self.cut()
        return default if message is NOTHING else message

    def __iter__(self):
        return self

    def __next__(self):
        message = self.cut()
        if message is NOTHING:
            raise StopIteration
        return message

    cpdef list next_messages(self):
        """All whole messages that there are. A failure after them waits for the next call."""
        cdef list batch = []
        try:
            while True:
                message = self.cut()
                if message is NOTHING:
                    break
                batch.append(message)
        except FramingError:
            if not batch:
                raise
        return batch

    @property
    def expects_raw(self):
        """Whether the next message is a raw block."""
        return self.raw >= 0

    def expect_raw(self, count):
        """Make the next ``count`` bytes, whatever they are, the next message; then framing goes on.

        Raises ValueError for a count that is negative or over the limit on a message: receive a
        larger block in parts.
        """
        cdef Py_ssize_t raw = count
        if raw < 0 or raw > self.max_length:
            raise ValueError(f"a raw block has 0 to {self.max_length} bytes, not {count}")
        self.raw = raw
        self.scanned = self.needed = 0

    cpdef tuple edges(self, bytes message):
        """What goes before and after the message on the wire. Raises ValueError where it cannot be framed."""
        raise NotImplementedError

    def frame(self, message):
        """The message as it goes over the wire. Raises ValueError where it cannot be framed."""
        cdef bytes body = as_message(self, message)
        head, tail = self.edges(body)
        return concatenate(head, body, tail)

    # --- as a sink ---

    def attach(self, protocol, transport):
        """Connect the two: messages go to ``protocol.message_received``, what is sent to the transport."""
        self.receiver = protocol
        self.transport = transport
        self.batches = hasattr(protocol, "messages_received")

    def send(self, message):
        """Frame a message and write it to the transport. Raises ValueError where it cannot be framed."""
        cdef bytes body = as_message(self, message)
        head, tail = self.edges(body)
        if PyBytes_GET_SIZE(body) < GATHER_FROM:
            self.transport.write(concatenate(head, body, tail))
        else:
            self.transport.writelines((head, body, tail))

    cdef int deliver(self) except -1:
        if self.receiver is None or self.halted:
            return 0
        receive = self.receiver.messages_received if self.batches else self.receiver.message_received
        while not self.halted:
            deliver = receive
            if self.raw >= 0:
                deliver, received = self.receiver.raw_received, self.cut()
            elif self.batches:
                received = self.next_messages() or NOTHING
            else:
                received = self.cut()
            if received is NOTHING:
                break
            deliver(received)
        return 0

    cpdef bytes take(self):
        self.receiver = None
        self.scanned = 0
        self.raw = -1
        return Intake.take(self)

    # --- the bytes ---

    cdef object cut(self):
        """Take the next message off the buffer; NOTHING while it is incomplete."""
        cdef Py_ssize_t at = self.start
        if self.failure is not None:
            raise self.failure
        if self.raw >= 0:
            return self.cut_raw()
        if self.find(self.base + at, self.end - at) != WHOLE:
            return NOTHING
        self.start += self.total
        self.scanned = self.needed = 0
        return PyBytes_FromStringAndSize(self.base + at + self.body, self.length)

    cdef object cut_raw(self):
        cdef Py_ssize_t at = self.start, count = self.raw
        if self.end - at < count:
            self.needed = count
            return NOTHING
        self.start += count
        self.needed = 0
        self.raw = -1
        return PyBytes_FromStringAndSize(self.base + at, count)

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

    cpdef tuple edges(self, bytes message):
        """Nothing and LF. Raises ValueError for what is not one line."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
        cdef const char* data = PyBytes_AS_STRING(message)
        if memchr(data, 10, size) != NULL or size and data[size - 1] == 13:
            raise ValueError("a line must not contain LF nor end in CR: the peer would read something else")
        return b"", b"\n"


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

    cpdef tuple edges(self, bytes message):
        """Nothing and the delimiter. Raises ValueError where the peer would see another message."""
        cdef Py_ssize_t width = PyBytes_GET_SIZE(self.delimiter)
        end = message[-width:] + self.delimiter  # the two together must not make one earlier
        if self.delimiter in message or end.find(self.delimiter) != len(end) - width:
            raise ValueError(f"a message must not contain the delimiter {self.delimiter!r}")
        return b"", self.delimiter


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

    cpdef tuple edges(self, bytes message):
        """The length and nothing."""
        cdef uint64_t length = <uint64_t> PyBytes_GET_SIZE(message)
        cdef char[8] prefix
        cdef int i
        for i in range(self.width):
            prefix[i if self.little else self.width - 1 - i] = <char> (length & 255)
            length >>= 8
        return PyBytes_FromStringAndSize(prefix, self.width), b""


cdef class FixedLengthFramer(Framer):
    """Messages of ``size`` bytes each."""

    def __init__(self, size):
        self.size = self.max_length = positive("size", size)

    cdef Verdict find(self, const char* data, Py_ssize_t size) except? BROKEN:
        self.needed = self.total = self.length = self.size
        return WHOLE if size >= self.size else INCOMPLETE

    cpdef tuple edges(self, bytes message):
        """Nothing and nothing. Raises ValueError for a message of another size."""
        if len(message) != self.size:
            raise ValueError(f"a message has {self.size} bytes here, not {len(message)}")
        return b"", b""


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

    cpdef tuple edges(self, bytes message):
        """The length with a colon, and a comma."""
        return b"%d:" % len(message), b","


cdef Py_ssize_t positive(str name, object value) except -1:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive number of bytes, not {value!r}")
    return min(value, LARGEST_LIMIT)


cdef bytes as_message(Framer framer, object message):
    """What is to be framed, as bytes within the framer's limit."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message must be a bytes-like object, not {type(message).__name__!r}")
    cdef bytes body = message if type(message) is bytes else bytes(message)
    if PyBytes_GET_SIZE(body) > framer.max_length:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {framer.max_length}")
    return body


cdef bytes concatenate(bytes head, bytes body, bytes tail):
    cdef Py_ssize_t before = PyBytes_GET_SIZE(head), after = PyBytes_GET_SIZE(tail)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef bytes whole
    cdef char* at
    if before + after == 0:
        return body
    whole = PyBytes_FromStringAndSize(NULL, before + size + after)
    at = PyBytes_AS_STRING(whole)
    memcpy(at, PyBytes_AS_STRING(head), before)
    memcpy(at + before, PyBytes_AS_STRING(body), size)
    memcpy(at + before + size, PyBytes_AS_STRING(tail), after)
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
