"""One request and its answer at a time: what runs for every request of a server.

``HTTPProtocol`` is built on an ``Exchange``, which does what is usual: it hands over whole requests as
long as each is answered, and answers with the head that the last answer had. All else it leaves to the
methods that the protocol has in Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from .http cimport RequestParser
from .http_head cimport Request

from cyreactor import limits
from cyreactor._compiled import framing

cdef object NOTHING = framing.NOTHING
cdef Py_ssize_t GATHER_FROM = limits.GATHER_FROM


cdef class LastHead:
    """The head of the last usual answer of a loop: the same fields again save even looking it up."""

    def __init__(self):
        self.forget()

    def forget(self):
        """The head is not to be used any more."""
        self.head = None
        self.fields = object()


cdef class Exchange:
    """What comes, as far as it may be delivered, and the usual answer to it."""

    def messages_ready(self):
        """Deliver what has come: for the parser, which calls it once a read."""
        cdef RequestParser parser = self._parser
        if parser is None:
            raise RuntimeError("not connected")
        if self._stopped or (self._request is not None and not self._receiving):
            self._keep(parser)
            return
        self._late = False
        try:
            while True:
                if parser.streaming:
                    self._deliver_pieces(parser)
                else:
                    self.take_requests()
                if not parser.held or self._late:
                    break
                parser.held = False  # an upgrade that was not agreed to
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._delivery_failed(exc)
        else:
            if not self._late and (parser.message is not None or self._no_more or self._expecting):
                self._await_more(parser)

    cdef int take_requests(self) except -1:
        cdef RequestParser parser = self._parser
        while True:
            request = parser.cut()
            if request is NOTHING:
                return 0
            self._request = request
            self._since = 0.0
            self.request_received(request)
            if self._request is not None or self._stopped:
                self._keep(parser)
                return 0

    def respond(self, status=200, headers=(), body=b""):
        """Answer the request with a whole body.

        ``headers`` are pairs of name and value; a constant tuple of tuples is fastest. Date,
        Content-Length and Connection are added where they belong. A Content-Length of your own must
        be right, and is needed only to tell the size of what HEAD and 304 leave out. ``Connection:
        close`` ends the connection after the answer.

        Raises ValueError for what cannot be sent, RuntimeError where no request waits.
        """
        cdef LastHead last = self._heads
        cdef Request request = self._request
        if (
            request is None
            or last is None
            or self._answering
            or self._receiving
            or headers is not last.fields
            or type(body) is not bytes
            or PyBytes_GET_SIZE(body) != last.size
            or last.size >= GATHER_FROM
            or status != last.status
            or not request.is_ordinary()
        ):
            self._respond(status, headers, body)
            return
        self._request = None
        self.transport.write(joined(last.head, <bytes> body))
        if self._late:
            self._go_on_soon()


cdef bytes joined(bytes head, bytes body):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(head)
    cdef bytes answer = PyBytes_FromStringAndSize(NULL, size + PyBytes_GET_SIZE(body))
    memcpy(PyBytes_AS_STRING(answer), PyBytes_AS_STRING(head), size)
    memcpy(PyBytes_AS_STRING(answer) + size, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    return answer
