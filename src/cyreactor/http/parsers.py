"""The parsers of the chosen core, and what they give."""

from .._backend import http as _http
from .._backend import http_head as _http_head
from .._backend import http_parser as _http_parser

RequestParser = _http.RequestParser
ResponseParser = _http.ResponseParser
End = _http_parser.End
Request = _http_head.Request
Response = _http_head.Response
Headers = _http_head.Headers

__all__ = ["End", "Headers", "Request", "RequestParser", "Response", "ResponseParser"]
