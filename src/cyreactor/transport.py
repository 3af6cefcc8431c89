"""The transports: the chosen core's endpoints, plus the paths that are rare."""

from __future__ import annotations

import warnings
from asyncio import constants, trsock
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from ._backend import connection, datagram
from .limits import watermarks

if TYPE_CHECKING:
    from ._backend import endpoint

    Endpoint = endpoint.Endpoint
else:
    Endpoint = object  # at run time the core's is mixed in


class RarePaths(Endpoint):
    """What every transport has beside its core's endpoint."""

    _info: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._describe()}>"

    def _abandoned(self, _warn: Any = warnings.warn) -> None:
        _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
        self._dispose()

    @property
    def _sock(self) -> Any:
        return self._socket()

    def abort(self) -> None:
        """Close at once; what is queued is lost and ``connection_lost(None)`` follows."""
        self._force_close(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket``, ``sockname``, ``peername``, looked up when asked for; see asyncio.BaseTransport."""
        if self._info is None:
            self._info = {}
        if name not in self._info:
            look_up = _LOOK_UPS.get(name)
            found = look_up(self) if look_up else None
            if found is None:
                return default
            self._info[name] = found
        return self._info[name]

    def _remember(self, info: dict[str, Any] | None) -> None:
        self._info = {**(self._info or {}), **(info or {})}

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the watermarks in bytes, as asyncio.WriteTransport does; takes effect at once both ways."""
        low, high = watermarks(high, low)
        self._set_write_buffer_limits(high, low)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if not isinstance(exc, OSError):
            self._report(exc, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=True)
        self._force_close(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self.get_protocol()}
        )

    def _rest(self) -> None:
        """Nothing is awaited from the kernel: the loop must know the connection all the same."""
        self._loop._resting.add(self)


class Transport(RarePaths, connection.Connection):
    """A TCP or Unix stream, as ``asyncio.Transport`` specifies it."""

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE


class DatagramTransport(RarePaths, datagram.Datagram):
    """A UDP or Unix datagram socket, as ``asyncio.DatagramTransport`` specifies it."""

    _name = None

    def _peer_address(self) -> Any:
        return self._address


def _socket(transport: Any) -> trsock.TransportSocket | None:
    sock = transport._socket()
    return None if sock is None else trsock.TransportSocket(sock)


def _sockname(transport: Any) -> Any:
    if transport._name is not None:
        return transport._name
    sock = transport._socket()
    try:
        return None if sock is None else sock.getsockname()
    except OSError:
        return None


def _peername(transport: Any) -> Any:
    address = transport._peer_address()
    if address is not None:
        return address
    sock = transport._socket()
    try:
        return None if sock is None else sock.getpeername()
    except OSError:
        return None


_LOOK_UPS = {"socket": _socket, "sockname": _sockname, "peername": _peername}

