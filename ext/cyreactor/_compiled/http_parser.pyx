"""What the parsers of HTTP/1.1 have in common (RFC 9112): lines, heads and bodies.

A parser is a framer whose messages are whole ``Request`` or ``Response`` objects; where it is
``streaming``, each comes as soon as its head is complete, then the pieces of its body as bytes, then an
``End``.

A line is judged when it is complete, its limits before: so an error does not depend on how the stream
was cut. What is never done twice: searching for a line's end, and reading a line.

Nothing is delivered while ``held``, and what comes is kept: who holds it for long should pause reading.
The parser sets it after a message that hands the connection over to another protocol: what follows stays
as it came, for ``take``. After the last message of a connection (``keep_alive`` false) it drops what comes.

``base + start`` is read again after each call into Python: a callback may feed the parser.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

from .framing cimport Framer
from .http_head cimport NO_HEADERS, Headers, Message, Request
from .http_lines cimport Field, read_chunk_line, read_field_line

from cyreactor import _faults as faults
from cyreactor import limits
from cyreactor._compiled import framing
from cyreactor.errors import HTTPError

cdef object NOTHING = framing.NOTHING
cdef Py_ssize_t CHUNK_LINE = limits.HTTP_CHUNK_LINE

MOST = 2**31 - 1  # of a limit on a head
MOST_BODY = 2**62


@cython.no_gc
@cython.freelist(16)
cdef class End:
    """The end of a message whose body was streamed; ``trailers`` are its trailer fields."""

    def __cinit__(self):
        self.trailers = NO_HEADERS


cdef class Parser(Framer):
    """What both parsers have in common.

    Limits, in bytes unless said otherwise: ``max_line`` on a line, its end not counted, ``max_head`` on a
    head (and on the trailers), ``max_headers`` on the number of fields, ``max_body`` on a body.
    """

    def __cinit__(self, *args, **kwargs):
        self.start_over()

    def __init__(
        self,
        *,
        streaming=False,
        max_line=limits.HTTP_LINE,
        max_head=limits.HTTP_HEAD,
        max_headers=limits.HTTP_HEADERS,
        max_body=limits.REQUEST_BODY,
    ):
        self.streaming = bool(streaming)
        self.max_line = limits.bounded("max_line", max_line, 1, MOST)
        self.max_head = limits.bounded("max_head", max_head, 1, MOST)
        self.max_headers = limits.bounded("max_headers", max_headers, 1, MOST)
        self.max_body = limits.bounded("max_body", max_body, 0, MOST_BODY)

    cdef int start_over(self) except -1:
        self.stage = HEAD
        self.message = None
        self.trailers = NO_HEADERS
        self.line = self.scanned = self.needed = 0
        self.left = self.received = self.extensions = 0
        self.gathered = None
        self.skipped = self.told = False
        return 0

    # --- without I/O ---

    def feed_eof(self):
        """No more bytes will come. Ends a body that lasts until the end of the connection.

        Where the end came in the middle of a message, HTTPError is raised: here if the parser is
        attached to a protocol, else by ``next_message`` once the messages before it were asked for.
        """
        if self.failure is not None:
            raise self.failure
        self.ended = True
        self.deliver()

    @property
    def awaits_continue(self):
        """The request, not delivered yet, whose client waits for 100 (Continue) to send the body."""
        if self.streaming or self.stage != COUNTED and self.stage != CHUNK:
            return None
        if self.received or self.end > self.start or not isinstance(self.message, Request):
            return None
        return self.message if self.message.expects_continue else None

    @property
    def receiving(self):
        """The message whose head is complete and whose body is not; None where it is streamed."""
        return None if self.streaming or self.stage == HEAD or self.stage == OVER else self.message

    def expect_raw(self, count):
        """HTTP has no raw blocks: raises TypeError."""
        raise TypeError("an HTTP parser has no raw blocks")

    cpdef tuple edges(self, bytes message):
        """A parser only reads: raises TypeError."""
        raise TypeError("an HTTP parser cannot frame what is to be sent")

    # --- as a sink ---

    def attach(self, protocol, transport):
        """Connect the two. A protocol with a method ``messages_ready`` is called once a read, and takes
        what there is by iterating over the parser."""
        Framer.attach(self, protocol, transport)
        self.pulled = hasattr(protocol, "messages_ready")

    cdef int receive(self, object message) except -1:
        """Call the protocol's method for a message."""
        return 0

    cdef int deliver(self) except -1:
        receiver = self.receiver
        if self.pulled and receiver is not None and not self.halted:
            receiver.messages_ready()
            return 0
        while receiver is not None and not self.halted:
            received = self.cut()
            if received is NOTHING:
                break
            if isinstance(received, Message):
                self.receive(received)
            elif type(received) is bytes:
                self.callback = "body_received"
                receiver.body_received(received)
            else:
                self.callback = "body_ended"
                receiver.body_ended((<End> received).trailers)
            receiver = self.receiver
        if receiver is not None and self.message is not None and not self.told:
            awaiting = self.awaits_continue
            if awaiting is not None:
                self.told = True
                if hasattr(receiver, "continue_expected"):
                    self.callback = "continue_expected"
                    receiver.continue_expected(awaiting)
        return 0

    cpdef bytes take(self):
        """Hand over and forget all bytes that were not parsed; a message half parsed is forgotten."""
        self.start_over()
        return Framer.take(self)

    # --- the bytes ---

    cdef object cut(self):
        """The next message or part of one; NOTHING while it is incomplete."""
        if self.failure is not None:
            raise self.failure
        if self.held:
            return NOTHING
        try:
            found = self.step()
            if found is NOTHING and self.ended and (self.message is not None or self.end > self.start):
                raise HTTPError("the connection ended in the middle of a message")
        except HTTPError as exc:
            self.failure = exc
            self.start_over()
            raise
        return found

    cdef object step(self):
        found = None
        while found is None:
            if self.stage == HEAD:
                found = self.read_head()
            elif self.stage == COUNTED:
                found = self.read_counted()
            elif self.stage == CHUNK:
                found = self.read_chunk()
            elif self.stage == DATA:
                found = self.read_piece(MARK)
            elif self.stage == MARK:
                found = self.read_mark()
            elif self.stage == TRAILERS:
                found = self.read_trailers()
            elif self.stage == ENDLESS:
                found = self.read_endless()
            elif self.stage == END:
                found = self.complete(b"")
            else:
                self.consume(self.end - self.start)
                found = NOTHING
        return found

    cdef bint waits(self, Py_ssize_t limit) except -1:
        """Whether a line that was searched before still has no end."""
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t size = self.end - self.start
        if self.scanned <= self.line or memchr(data + self.scanned, 10, size - self.scanned) != NULL:
            return False
        return self.lacks_end(limit, None)

    cdef bint lacks_end(self, Py_ssize_t limit, object fault) except -1:
        """The next line was not taken: true if it is incomplete, else raises what is wrong with it."""
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t end = self.end - self.start, begin = max(self.line, self.scanned)
        cdef const char* mark = NULL
        if end > begin:
            mark = <const char*> memchr(data + begin, 10, end - begin)
        if mark != NULL:
            end = mark - data
        if end - self.line > limit + (end > self.line and data[end - 1] == 13):
            raise self.too_large()
        if end + (mark != NULL) > self.max_head:
            raise self.too_large()
        if mark == NULL:
            self.scanned = end
            return True
        raise fault(PyBytes_FromStringAndSize(data + self.line, end - self.line))

    cdef int take_line(self, Py_ssize_t next_line, Py_ssize_t limit) except -1:
        """A line is well-formed up to there: see that it is within its limits."""
        if next_line - 2 - self.line > limit or next_line > self.max_head:
            raise self.too_large()
        self.line = next_line
        return 0

    cdef object too_large(self):
        if self.stage == CHUNK:
            return HTTPError("the line before a chunk is too long")
        if self.message is None:
            return HTTPError(f"the first line is longer than {self.max_line} bytes", 414)
        return HTTPError(f"fields longer than {self.max_line} bytes each or {self.max_head} in all", 431)

    cdef bint read_fields(self, Headers headers, Message message) except -1:
        """Read field lines up to the empty one; false while that has not come.

        They are a message's head, or trailers, which say nothing of a message.
        """
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t size = self.end - self.start, next_line
        cdef Field field
        if self.waits(self.max_line):
            return False
        while True:
            next_line = self.line + 2
            if next_line <= size and data[self.line] == 13 and data[self.line + 1] == 10:
                break
            next_line = read_field_line(data, self.line, size, &field)
            if next_line == 0:
                return not self.lacks_end(self.max_line, faults.field_line)
            self.take_line(next_line, self.max_line)
            if headers.filled == self.max_headers:
                raise HTTPError(f"more than {self.max_headers} fields", 431)
            if message is None:
                headers.add(&field)
            else:
                message.take_field(data, &field)
        self.take_line(next_line, self.max_line)
        headers.seal(data, next_line)
        self.consume(next_line)
        return True

    cdef int consume(self, Py_ssize_t count) except -1:
        """Bytes from start on were dealt with."""
        self.start += count
        self.line = self.scanned = 0
        return 0

    cdef object read_head(self):
        cdef Message message
        if self.message is None:
            if self.start == self.end:
                return NOTHING
            self.message = self.read_first_line()
            if self.message is None:
                return NOTHING
        message = self.message
        if not self.read_fields(message.headers, message):
            return NOTHING
        message.take_end()
        self.stage = self.body_of(message)
        if self.stage == COUNTED:
            self.left = message.length
            if self.left > self.max_body:
                raise HTTPError(f"a body over {self.max_body} bytes", 413)
        if self.streaming:
            return message
        return self.complete(b"") if self.stage == END else None

    cdef Message read_first_line(self):
        """The message that begins there; None while its first line is incomplete."""
        return None

    cdef Stage body_of(self, Message message):
        """How the body of a message is delimited; END where it has none."""
        if message.chunked:
            return CHUNK
        return COUNTED if message.length > 0 else END

    cdef bint hands_over(self, Message message):
        """Whether the connection speaks another protocol after it."""
        return False

    cdef object complete(self, bytes body):
        """The message with its body; where that was streamed, its End."""
        cdef Message message = self.message
        cdef Headers trailers = self.trailers
        cdef End end
        self.start_over()
        if self.hands_over(message):
            self.held = True
        if not message.stays():
            self.stage = OVER
        if self.streaming:
            end = End.__new__(End)
            end.trailers = trailers
            return end
        message.body, message.trailers = body, trailers
        return message

    cdef bytes piece(self, Py_ssize_t size):
        """So many bytes of a body."""
        cdef Py_ssize_t at = self.start
        self.consume(size)
        return PyBytes_FromStringAndSize(self.base + at, size)

    cdef object read_counted(self):
        if self.streaming:
            return self.read_piece(END)
        if self.end - self.start < self.left:
            self.needed = <Py_ssize_t> self.left
            return NOTHING
        return self.complete(self.piece(<Py_ssize_t> self.left))

    cdef object read_piece(self, Stage after):
        """What is there of the body, or of a chunk; once it is all there, go on with another stage."""
        cdef Py_ssize_t size = self.end - self.start, before
        if size > self.left:
            size = <Py_ssize_t> self.left
        if size == 0:
            return NOTHING
        self.left -= size
        if self.left == 0:
            self.stage = after
        if self.streaming:
            return self.piece(size)
        if self.gathered is None:
            self.gathered = bytearray()
        before = PyByteArray_GET_SIZE(self.gathered)
        PyByteArray_Resize(self.gathered, before + size)
        memcpy(PyByteArray_AS_STRING(self.gathered) + before, self.base + self.start, size)
        self.consume(size)
        return None

    cdef object read_chunk(self):
        cdef Py_ssize_t limit = min(CHUNK_LINE, self.max_line)
        cdef Py_ssize_t next_line, extension = 0
        cdef uint64_t size = 0
        if self.waits(limit):
            return NOTHING
        next_line = read_chunk_line(self.base + self.start, self.end - self.start, &size, &extension)
        if next_line == 0:
            self.lacks_end(limit, faults.chunk_line)
            return NOTHING
        self.take_line(next_line, limit)
        self.extensions += extension
        if self.extensions > self.max_line:
            raise HTTPError("too many chunk extensions")
        if size > <uint64_t> (self.max_body - self.received):
            raise HTTPError(f"a body over {self.max_body} bytes", 413)
        self.consume(next_line)
        self.left = <int64_t> size
        self.received += self.left
        self.stage = DATA if size else TRAILERS
        if size == 0:
            self.trailers = Headers.__new__(Headers)
        return None

    cdef object read_mark(self):
        cdef const char* data = self.base + self.start
        cdef Py_ssize_t size = self.end - self.start
        if size and data[0] != 13 or size > 1 and data[1] != 10:
            raise HTTPError("a chunk does not end where its size says")
        if size < 2:
            return NOTHING
        self.consume(2)
        self.stage = CHUNK
        return None

    cdef object read_trailers(self):
        if not self.read_fields(self.trailers, None):
            return NOTHING
        self.stage = END
        return None if self.streaming else self.complete(bytes(self.gathered or b""))

    cdef object read_endless(self):
        cdef int64_t size = self.end - self.start, room = self.max_body - self.received
        if size > room and not (self.streaming and room):
            raise HTTPError(f"a body over {self.max_body} bytes", 413)
        if self.streaming and size:
            self.left = min(size, room)
            self.received += self.left
            return self.read_piece(ENDLESS)
        return self.complete(self.piece(<Py_ssize_t> size)) if self.ended else NOTHING
