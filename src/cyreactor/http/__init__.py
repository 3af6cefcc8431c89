"""HTTP/1.1: parsers without I/O, usable on any loop or on none."""

from ..errors import HTTPError
from .parsers import End, Headers, Request, RequestParser, Response, ResponseParser

__all__ = [
    "End",
    "HTTPError",
    "Headers",
    "Request",
    "RequestParser",
    "Response",
    "ResponseParser",
]
