"""cyreactor: network protocols in Python, as fast as the kernel lets them run."""

from . import framing, resp
from ._backend import backend
from .errors import FramingError
from .protocols import (
    BufferedProtocol,
    DatagramProtocol,
    DelimitedProtocol,
    FixedLengthProtocol,
    FramedProtocol,
    LengthPrefixedProtocol,
    LineProtocol,
    NetstringProtocol,
    Protocol,
)
from .reactor import Reactor, new_event_loop, run
from .server import serve
from .streams import (
    StreamReader,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)

__version__ = "0.1.0"

__all__ = [
    "BufferedProtocol",
    "DatagramProtocol",
    "DelimitedProtocol",
    "FixedLengthProtocol",
    "FramedProtocol",
    "FramingError",
    "LengthPrefixedProtocol",
    "LineProtocol",
    "NetstringProtocol",
    "Protocol",
    "Reactor",
    "StreamReader",
    "StreamWriter",
    "backend",
    "framing",
    "new_event_loop",
    "open_connection",
    "open_unix_connection",
    "resp",
    "run",
    "serve",
    "start_server",
    "start_unix_server",
]
