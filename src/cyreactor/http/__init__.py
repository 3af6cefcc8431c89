"""HTTP/1.1: servers, a server of files, and parsers without I/O that work on any loop or on none."""

from ..errors import HTTPError
from .files import FileProtocol
from .parsers import End, Headers, Request, RequestParser, Response, ResponseParser
from .protocol import HTTPProtocol

__all__ = [
    "End",
    "FileProtocol",
    "HTTPError",
    "HTTPProtocol",
    "Headers",
    "Request",
    "RequestParser",
    "Response",
    "ResponseParser",
]
