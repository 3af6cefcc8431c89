"""The parsers of the chosen core, and what they give."""

from .._backend import http as _http
from .._backend import http_head as _http_head

RequestParser = _http.RequestParser
ResponseParser = _http.ResponseParser
End = _http.End
Request = _http_head.Request
Response = _http_head.Response
Headers = _http_head.Headers

__all__ = ["End", "Headers", "Request", "RequestParser", "Response", "ResponseParser"]
