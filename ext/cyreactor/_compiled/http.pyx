"""Parsers of HTTP/1.1 (RFC 9112): from a stream of bytes to requests or responses."""

from collections import deque

from .http_head cimport Message, Request, Response, make_request, make_response
from .http_lines cimport UPGRADE, Field, read_request_line, read_status_line
from .http_parser cimport END, ENDLESS, Parser, Stage

from cyreactor import _faults as faults
from cyreactor import limits


cdef class RequestParser(Parser):
    """Requests, for ``request_received(request)``; see ``Parser`` for the limits.

    Streaming, the protocol's ``body_received(piece)`` and ``body_ended(trailers)`` follow for each.
    Without, ``continue_expected(request)`` is called, where the protocol has it, when a client waits for
    100 (Continue) before it sends a body.
    """

    cdef int receive(self, object message) except -1:
        self.callback = "request_received"
        self.receiver.request_received(message)
        return 0

    cdef Message read_first_line(self):
        cdef Py_ssize_t next_line
        cdef Field parts
        cdef int minor = 0
        if not self.skipped and self.end - self.start >= 2:
            if self.base[self.start] == 13 and self.base[self.start + 1] == 10:
                self.skipped = True  # RFC 9112, 2.2: some clients end a body with a line too many
                self.consume(2)
        if self.waits(self.max_line):
            return None
        next_line = read_request_line(self.base + self.start, self.end - self.start, &parts, &minor)
        if next_line == 0:
            self.lacks_end(self.max_line, faults.request_line)
            return None
        self.take_line(next_line, self.max_line)
        return make_request(self.base + self.start, &parts, minor)

    cdef bint hands_over(self, Message message):
        if (<Request> message).connects:
            return True
        return message.options & UPGRADE and message.upgrade is not None


cdef class ResponseParser(Parser):
    """Responses, for ``response_received(response)``; see ``Parser`` for the limits.

    Say with ``expect`` what was asked: whether a response has a body depends on it.
    """

    def __init__(self, *, max_body=limits.RESPONSE_BODY, **options):
        Parser.__init__(self, max_body=max_body, **options)
        self.expected = deque()

    def expect(self, method):
        """A request was sent with this method: its response comes after those of the ones before."""
        self.expected.append(method)

    cdef int receive(self, object message) except -1:
        self.callback = "response_received"
        self.receiver.response_received(message)
        return 0

    cdef Message read_first_line(self):
        cdef Py_ssize_t next_line
        cdef Field parts
        cdef int minor = 0, status = 0
        if self.waits(self.max_line):
            return None
        next_line = read_status_line(self.base + self.start, self.end - self.start, &parts, &minor, &status)
        if next_line == 0:
            self.lacks_end(self.max_line, faults.status_line)
            return None
        self.take_line(next_line, self.max_line)
        return make_response(&parts, minor, status)

    cdef Stage body_of(self, Message message):
        cdef Response response = message
        cdef int status = response.status
        cdef bint interim = status < 200 and status != 101
        method = self.expected[0] if self.expected else "GET"
        response.tunnel = status == 101 or method == "CONNECT" and 200 <= status < 300
        if self.expected and not interim:
            self.expected.popleft()
        if response.tunnel or interim or method == "HEAD" or status == 204 or status == 304:
            return END
        if message.chunked or message.length >= 0:
            return Parser.body_of(self, message)
        response.endless = True
        return ENDLESS

    cdef bint hands_over(self, Message message):
        return (<Response> message).tunnel
