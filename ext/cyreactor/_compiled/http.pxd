# Parsers of HTTP/1.1: from a stream of bytes to requests or responses.

from .http_parser cimport Parser


cdef class RequestParser(Parser):
    pass


cdef class ResponseParser(Parser):
    cdef readonly object expected    # a deque: methods of requests that were not answered yet
