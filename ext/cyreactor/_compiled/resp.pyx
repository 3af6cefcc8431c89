"""RESP, the protocol of Redis, in versions 2 and 3: commands for servers, replies for clients.

A parser keeps the bytes of a message until it is whole, and beside them what it has made of them so
far: `scanned` is where it goes on. So nothing is parsed twice but the few bytes of one length, however
the stream is cut; and what a peer announces costs no memory before it is there.

Every decision is a function of the bytes alone, never of where they were cut: a line is judged when
its end is there, or cannot come any more.

Making an object may run the garbage collector, and that a finalizer of anybody's. While `parsing` is
set the bytes stay where they are: whoever would move them gets a RuntimeError.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeUTF8
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, realloc
from libc.string cimport memchr

from .framing cimport BROKEN, Framer, Verdict
from .resp_encoding cimport encode_commands, encode_replies, encode_reply

from cyreactor import limits
from cyreactor._resp import CONVERTERS, Push, as_error, as_verbatim, printable, split_inline
from cyreactor.errors import FramingError, ReplyError, RESPError

from .framing import NOTHING as NOTHING_YET

cdef Py_ssize_t GATHER_FROM = limits.GATHER_FROM
cdef int RESP_DEPTH = limits.RESP_DEPTH
cdef Py_ssize_t RESP_ELEMENTS = limits.RESP_ELEMENTS
cdef Py_ssize_t RESP_HEADER_LIMIT = limits.RESP_HEADER_LIMIT
cdef Py_ssize_t RESP_LINE_LIMIT = limits.RESP_LINE_LIMIT
cdef Py_ssize_t RESP_MESSAGE_LIMIT = limits.RESP_MESSAGE_LIMIT

cdef object NOTHING = NOTHING_YET
cdef object REPLY_ERROR = ReplyError

# What `value` returns where a container opens, and one gives that closes without being a value.
cdef object MORE = object()

# The first bytes of elements.
cdef enum:
    STRING = 43         # +
    ERROR = 45          # -
    DOUBLE = 44         # ,
    INTEGER = 58        # :
    BULK = 36           # $
    BULK_ERROR = 33     # !
    VERBATIM = 61       # =
    ARRAY = 42          # *
    MAP = 37            # %
    SET = 126           # ~
    PUSH = 62           # >
    ATTRIBUTE = 124     # |

cdef enum:
    QUICK_DIGITS = 18   # an integer of so many cannot overflow, neither can twice as much

# Bytes of the smallest element.
cdef Py_ssize_t SMALLEST = 3


cdef class Parser(Framer):
    """What both directions have in common: lines, lengths, bulk strings, limits."""

    def __init__(self, max_length=RESP_MESSAGE_LIMIT, max_elements=RESP_ELEMENTS):
        if not isinstance(max_length, int) or max_length < 1:
            raise ValueError(f"max_length must be a positive number of bytes, not {max_length!r}")
        if not isinstance(max_elements, int) or max_elements < 1:
            raise ValueError(f"max_elements must be a positive number, not {max_elements!r}")
        self.max_length = max_length
        self.max_elements = max_elements
        self.version = 2

    def expect_raw(self, count):
        self.check_idle()
        Framer.expect_raw(self, count)
        self.forget()

    cpdef bytes take(self):
        self.check_idle()
        self.forget()
        return Framer.take(self)

    cdef int append(self, const char* data, Py_ssize_t size) except -1:
        self.check_idle()
        return Framer.append(self, data, size)

    cdef object cut(self):
        if self.failure is not None:
            raise self.failure
        self.check_idle()
        self.parsing = True
        try:
            message = self.cut_raw() if self.raw >= 0 else self.parse()
        except BaseException as exc:
            if exc is not self.failure:
                self.forget()  # no memory, or Ctrl-C: the message is still there, begin it again
            raise
        finally:
            self.parsing = False
        return message

    cdef object parse(self):
        return NOTHING

    cdef int check_idle(self) except -1:
        if self.parsing:
            raise RuntimeError("the parser is at work: this was called from a finalizer")
        return 0

    cdef int forget(self) except -1:
        """Nothing is known of the message at `start`."""
        self.scanned = self.sought = 0
        return 0

    @cython.final
    cdef Py_ssize_t line(
        self, const char* data, Py_ssize_t size, Py_ssize_t at, Py_ssize_t limit, str name
    ) except -2:
        """Where the LF of a line is, which the limit includes; -1 while it is incomplete."""
        cdef Py_ssize_t available = min(size - at, limit)
        cdef const char* mark = NULL
        if available > self.sought:
            mark = <const char*> memchr(data + at + self.sought, 10, available - self.sought)
        if mark == NULL:
            if size - at >= limit:
                self.broken(f"too big {name}")
            self.sought = size - at
            return -1
        self.sought = 0
        return mark - data

    @cython.final
    cdef Py_ssize_t read_length(self, const char* data, Py_ssize_t size, Py_ssize_t at, str name) except -3:
        """The length in the line, -1 for null, with `after` behind it; -2 while it is incomplete."""
        cdef Py_ssize_t mark
        cdef long long length
        cdef char sign
        mark = quick_integer(data, size, at, &length)
        sign = data[at + 1] if mark else 0
        if mark and (length == -1 and mark == at + 5 if sign == 45 else sign != 48 or mark == at + 4):
            self.sought = 0
            self.after = mark
            return length
        mark = self.line(data, size, at, RESP_HEADER_LIMIT, f"{name} count string")
        if mark < 0:
            return -2
        if mark == at + 3 and data[at + 1] == 63 and data[at + 2] == 13:
            self.broken("streamed types are not supported")
        self.invalid_length(name)

    @cython.final
    cdef object string(self, const char* data, Py_ssize_t size, Py_ssize_t at):
        """The bulk string there, None for null, with `after` behind it; NOTHING while it is incomplete."""
        cdef Py_ssize_t length = self.read_length(data, size, at, "bulk")
        cdef Py_ssize_t body = self.after
        if length < 0:
            return None if length == -1 else NOTHING
        if length > self.max_length - 2 - body:
            self.invalid_length("bulk")
        if size - body < length + 2:
            self.needed = min(body + length + 2, 2 * size)  # memory for what is announced comes as it arrives
            return NOTHING
        if data[body + length] != 13 or data[body + length + 1] != 10:
            self.broken("bulk string without CRLF at its end")
        self.after = body + length + 2
        return PyBytes_FromStringAndSize(data + body, length)

    cdef int invalid_length(self, str name) except -1:
        self.broken(f"invalid {'multibulk' if name == 'mbulk' else name} length")

    cdef Verdict broken(self, str why) except? BROKEN:
        self.failure = RESPError(f"Protocol error: {why}")
        raise self.failure


cdef class CommandParser(Parser):
    """For servers: commands, each a list of bytes; what is framed are replies, see ``encode_reply``.

    Takes arrays of bulk strings, and inline commands as somebody types them, with Redis' quoting.
    Empty commands are passed over, as Redis does. When a connection breaks the protocol, the parser
    says so to the peer (``-ERR Protocol error: …``) before the connection ends.

    ``max_length`` is the limit on a command in bytes, everything counted, and so on every string in
    it; ``max_elements`` on its elements. ``version`` is that of the protocol, 2 until the server sets
    it to 3.
    """

    def frame(self, message):
        """The reply as it goes over the wire."""
        return encode_reply(message, self.version)

    def frame_all(self, messages):
        """Several replies as they go over the wire."""
        return encode_replies(messages, self.version)

    def send(self, message):
        """Write a reply to the transport."""
        if type(message) is bytes and PyBytes_GET_SIZE(message) >= GATHER_FROM:
            self.transport.writelines((b"$%d\r\n" % len(message), message, b"\r\n"))
        else:
            self.transport.write(encode_reply(message, self.version))

    def send_all(self, messages):
        """Write several replies to the transport, as one piece."""
        if len(messages) == 1:
            self.send(messages[0])
        else:
            self.transport.write(encode_replies(messages, self.version))

    cdef int deliver(self) except -1:
        try:
            return Framer.deliver(self)
        except FramingError as exc:
            if exc is self.failure and self.transport is not None:
                self.transport.write(encode_reply(exc))
            raise

    cdef int forget(self) except -1:
        self.items = None
        return Parser.forget(self)

    cdef object parse(self):
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t size = self.end - self.start
        cdef Py_ssize_t at
        while self.items is None:
            data = self.base + self.start
            size = self.end - self.start
            if size == 0:
                return NOTHING
            if data[0] == ARRAY:
                if not self.begin(data, size):
                    return NOTHING
            else:
                words = self.inline_words(data, size)
                if words is NOTHING or words:
                    return words
        items = self.items
        while self.remaining:
            at = self.scanned
            if at == size:
                return NOTHING
            if data[at] != BULK:
                self.broken(f"expected '$', got {printable(<unsigned char> data[at])}")
            word = self.string(data, size, at)
            if word is NOTHING:
                return NOTHING
            if word is None:
                self.invalid_length("bulk")
            fill(items, &self.filled, word)
            self.remaining -= 1
            self.scanned = self.after
        self.items = None
        self.start += self.scanned
        self.scanned = self.needed = 0
        return items

    cdef bint begin(self, const char* data, Py_ssize_t size) except -1:
        """Whether the head of an array is there; an empty one is passed over."""
        cdef Py_ssize_t count = self.read_length(data, size, 0, "mbulk")
        if count == -2:
            return False
        if count > self.max_elements:
            self.invalid_length("mbulk")
        if count <= 0:
            self.start += self.after
        else:
            self.items = places(count, size - self.after)
            self.filled = 0
            self.remaining = count
            self.scanned = self.after
        return True

    cdef object inline_words(self, const char* data, Py_ssize_t size):
        """The words of the line; NOTHING while it is incomplete."""
        cdef Py_ssize_t mark = self.line(
            data, size, 0, min(RESP_LINE_LIMIT, self.max_length), "inline request"
        )
        if mark < 0:
            return NOTHING
        try:
            words = split_inline(PyBytes_FromStringAndSize(data, mark))
        except ValueError as exc:
            self.broken(str(exc))
        if len(words) > self.max_elements:
            self.invalid_length("mbulk")
        self.start += mark + 1
        return words


cdef class ReplyParser(Parser):
    """For clients: replies as Python values; what is framed are commands, see ``encode_command``.

    Simple strings are str, bulk strings bytes (verbatim ones ``Verbatim``), errors ``ReplyError``,
    null is None; integers and big numbers are int, doubles float, booleans bool; arrays are lists,
    maps dicts, sets sets, what the server pushes a ``Push``. A container that is a key of a map or
    a member of a set comes as a tuple or a frozenset. ``attributes`` are those of the last reply,
    a dict or None; attributes of elements are read and dropped. Streamed types are refused.

    ``max_length`` is the limit on a reply in bytes, everything counted, ``max_elements`` on its
    elements, those of nested containers included; containers nest 64 deep.
    """

    def frame(self, message):
        """The command as it goes over the wire: a list or tuple of its words."""
        return encode_commands((message,))

    def frame_all(self, messages):
        """Several commands as they go over the wire."""
        return encode_commands(messages)

    def send(self, message):
        """Write a command to the transport."""
        self.transport.write(encode_commands((message,)))

    def send_all(self, messages):
        """Write several commands to the transport, as one piece."""
        self.transport.write(encode_commands(messages))

    def __dealloc__(self):
        self.drop_levels()
        free(self.levels)

    cdef int forget(self) except -1:
        self.drop_levels()
        self.coming = self.attributes = None
        self.elements = 0
        return Parser.forget(self)

    cdef int drop_levels(self) except -1:
        while self.depth:
            self.depth -= 1
            Py_DECREF(<object> self.levels[self.depth].items)
        return 0

    cdef object parse(self):
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t size = self.end - self.start
        cdef Level* top
        while True:
            if self.scanned == size:
                return NOTHING
            value = self.value(data, size, self.scanned)
            if value is NOTHING:
                return NOTHING
            self.scanned = self.after
            if self.scanned > self.max_length:
                self.too_long()
            while value is not MORE:
                if self.depth == 0:
                    return self.whole(value)
                top = &self.levels[self.depth - 1]
                fill(<list> top.items, &top.filled, value)
                top.remaining -= 1
                if top.remaining:
                    break
                value = self.close()

    @cython.final
    cdef object whole(self, object value):
        self.start += self.after
        self.scanned = self.needed = self.elements = 0
        self.attributes, self.coming = self.coming, None
        return value

    @cython.final
    cdef object value(self, const char* data, Py_ssize_t size, Py_ssize_t at):
        """The element that starts there, with `after` behind it; MORE where a container opens.

        NOTHING while it is incomplete.
        """
        cdef char kind = data[at]
        if kind == BULK:
            return self.string(data, size, at)
        if kind == ARRAY or kind == MAP or kind == SET or kind == PUSH or kind == ATTRIBUTE:
            return self.open(data, size, at)
        if kind == BULK_ERROR or kind == VERBATIM:
            return self.text(data, size, at)
        return self.scalar(data, size, at)

    @cython.final
    cdef object scalar(self, const char* data, Py_ssize_t size, Py_ssize_t at):
        cdef char kind = data[at]
        cdef Py_ssize_t mark, limit
        cdef long long number
        cdef double fraction
        if kind == INTEGER:
            mark = quick_integer(data, size, at, &number)
            if mark:
                self.sought = 0
                self.after = mark
                return PyLong_FromLongLong(number)
        elif kind != STRING and kind != ERROR and kind != DOUBLE and kind not in CONVERTERS:
            self.broken(f"unknown type {printable(<unsigned char> kind)}")
        limit = RESP_HEADER_LIMIT if kind == INTEGER else min(RESP_LINE_LIMIT, self.max_length)
        mark = self.line(data, size, at, limit, "line")
        if mark < 0:
            return NOTHING
        if data[mark - 1] != 13 or memchr(data + at, 13, mark - 1 - at) != NULL:
            self.broken("line without CRLF at its end")
        self.after = mark + 1
        if kind == DOUBLE and quick_double(data + at + 1, mark - 2 - at, &fraction):
            return fraction
        if kind == STRING:
            return as_str(data + at + 1, mark - 2 - at)
        if kind == ERROR:
            return REPLY_ERROR(as_str(data + at + 1, mark - 2 - at))
        return self.converted(CONVERTERS[kind], PyBytes_FromStringAndSize(data + at + 1, mark - 2 - at))

    @cython.final
    cdef object text(self, const char* data, Py_ssize_t size, Py_ssize_t at):
        """An error or a verbatim string that is sent as a bulk string is."""
        text = self.string(data, size, at)
        if text is NOTHING:
            return NOTHING
        if text is None:
            self.invalid_length("bulk")
        return self.converted(as_error if data[at] == BULK_ERROR else as_verbatim, text)

    cdef object converted(self, object convert, bytes text):
        try:
            return convert(text)
        except ValueError as exc:
            self.broken(str(exc))

    @cython.final
    cdef object open(self, const char* data, Py_ssize_t size, Py_ssize_t at):
        """Begin a container: MORE, or its value at once where it is empty; NOTHING while it is incomplete."""
        cdef char kind = data[at]
        cdef Py_ssize_t count = self.read_length(data, size, at, "mbulk")
        if count == -2:
            return NOTHING
        if count == -1 and kind == ARRAY:
            return None
        if kind == MAP or kind == ATTRIBUTE:
            count *= 2
        if count < 0 or count > self.max_elements - self.elements:
            self.invalid_length("mbulk")
        self.elements += count
        if kind == PUSH and self.depth:
            self.broken("push inside of a reply")
        if self.depth == RESP_DEPTH:
            self.broken(f"nested deeper than {RESP_DEPTH}")
        self.add_level(kind, count, places(count, size - self.after))
        return MORE if count else self.close()

    @cython.final
    cdef int add_level(self, char kind, Py_ssize_t count, list items) except -1:
        cdef Level* level
        cdef Level* outer = NULL
        if self.depth == self.capacity_of_levels:
            self.grow_levels()
        level = &self.levels[self.depth]
        if self.depth:
            outer = level - 1
        level.kind = kind
        level.remaining = count
        level.filled = 0
        level.frozen = outer != NULL and (
            outer.frozen
            or outer.kind == SET
            or ((outer.kind == MAP or outer.kind == ATTRIBUTE) and outer.remaining % 2 == 0)
        )
        Py_INCREF(items)
        level.items = <PyObject*> items
        self.depth += 1
        return 0

    cdef int grow_levels(self) except -1:
        cdef int capacity = self.capacity_of_levels + 8
        cdef Level* grown = <Level*> realloc(self.levels, capacity * sizeof(Level))
        if grown == NULL:
            raise MemoryError
        self.levels = grown
        self.capacity_of_levels = capacity
        return 0

    @cython.final
    cdef object close(self):
        """The value of the container that was filled; MORE for an attribute, which is none."""
        cdef Level* level
        cdef list items
        self.depth -= 1
        level = &self.levels[self.depth]
        items = <list> level.items
        Py_DECREF(items)
        if level.kind == ARRAY and not level.frozen:
            return items
        value = as_container(items, level.kind, level.frozen)
        if level.kind != ATTRIBUTE:
            return value
        if self.depth == 0:
            self.coming = value
        return MORE


cdef object as_container(list items, char kind, bint frozen):
    """What a container is in Python."""
    cdef dict pairs = {}
    cdef Py_ssize_t i
    if kind == ARRAY:
        return tuple(items)
    if kind == SET:
        return frozenset(items) if frozen else set(items)
    if kind == PUSH:
        return Push(items)
    for i in range(0, PyList_GET_SIZE(items), 2):
        pairs[items[i]] = items[i + 1]
    return tuple(pairs.items()) if frozen and kind == MAP else pairs


cdef list places(Py_ssize_t count, Py_ssize_t size):
    """A list for so many elements; no more are made room for than so many bytes can hold."""
    return [None] * min(count, size // SMALLEST)


cdef inline int fill(list items, Py_ssize_t* filled, object value) except -1:
    if filled[0] < PyList_GET_SIZE(items):
        items[filled[0]] = value
    else:
        items.append(value)
    filled[0] += 1
    return 0


cdef inline Py_ssize_t quick_integer(
    const char* data, Py_ssize_t size, Py_ssize_t at, long long* number
) noexcept:
    """Behind a line of an integer of at most 18 digits that is all there; 0 for a closer look."""
    cdef Py_ssize_t i = at + 1, first, stop
    cdef bint negative = i < size and data[i] == b"-"
    cdef long long value = 0
    i += negative
    first = i
    stop = min(size - 1, first + QUICK_DIGITS)
    number[0] = 0
    while i < stop and 48 <= data[i] <= 57:
        value = value * 10 + data[i] - 48
        i += 1
    if i == first or i >= size - 1 or data[i] != 13 or data[i + 1] != 10:
        return 0
    number[0] = -value if negative else value
    return i + 2


cdef inline str as_str(const char* data, Py_ssize_t size):
    return PyUnicode_DecodeUTF8(data, size, b"surrogateescape")


cdef bint quick_double(const char* data, Py_ssize_t size, double* number) noexcept:
    """Read a number of few digits with a point between them; false for a closer look.

    Both the digits and the power of ten are exact in a double, so their quotient is rounded once.
    """
    cdef bint negative = size > 0 and data[0] == b"-"
    cdef Py_ssize_t i, point = -1
    cdef long long digits = 0
    cdef double power = 1
    if size - negative > 16:
        return False
    for i in range(negative, size):
        if 48 <= data[i] <= 57:
            digits = digits * 10 + data[i] - 48
            if point >= 0:
                power *= 10
        elif data[i] == b"." and point < 0:
            point = i
        else:
            return False
    if size - negative - (point >= 0) > 15 or point == negative or point == size - 1 or size == negative:
        return False
    number[0] = digits / power
    if negative:
        number[0] = -number[0]
    return True
