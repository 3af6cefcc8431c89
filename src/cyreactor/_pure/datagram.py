"""Datagrams: UDP over IPv4 and IPv6, and Unix datagram sockets.

One datagram a wake-up; what the callbacks of a dispatch answered leaves at its end. Errors of the
network (ICMP, a full neighbour table) are ``error_received``, and what the program's own callback
raises is no end of the endpoint: other peers have done nothing wrong.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from typing import Any

from ..limits import DATAGRAM_OVERHEAD, DATAGRAM_SIZE
from .endpoint import CLOSED, CLOSING, Endpoint, as_bytes

AF_UNIX = getattr(socket, "AF_UNIX", None)  # not on Windows


class Datagram(Endpoint, asyncio.DatagramTransport):
    """The pure half of a datagram transport; ``cyreactor.transport`` adds the rare paths."""

    __slots__ = ("_address", "queue")

    def __init__(self, loop: Any, sock: socket.socket, protocol: Any, address: Any = None) -> None:
        super().__init__(loop, sock)
        self.protocol = protocol
        self._address = address  # the peer of a connected socket, None for any
        self.queue: deque[tuple[bytes, Any]] = deque()

    # --- receiving ---

    def _read(self) -> None:
        try:
            data, address = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._report_error(exc)
            return
        try:
            self.protocol.datagram_received(data, address)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.datagram_received() failed")

    def _receive(self) -> tuple[bytes, Any]:
        if not hasattr(self.sock, "recvmsg"):
            return self.sock.recvfrom(DATAGRAM_SIZE)
        data, _, flags, address = self.sock.recvmsg(DATAGRAM_SIZE)
        if flags & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return data, address

    def _report_error(self, exc: OSError) -> None:
        try:
            self.protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self._report(failure, "protocol.error_received() failed")

    # --- sending ---

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram, empty ones too; never blocks unless ``addr`` names a host that must be looked up.

        ``addr`` may be left out where the socket is connected. What the network says against it comes
        to ``error_received``; raises TypeError and ValueError for what is no datagram or no address.
        """
        piece = data if type(data) is bytes else as_bytes(data)
        addr = self._checked(addr)
        if not self._writable():
            self._write_lost()
            return
        self.queue.append((piece, addr))
        self.queued += len(piece) + DATAGRAM_OVERHEAD
        if not self.full and (not self.dispatching or self.queued > self.high):
            self._send_queued()
        self._throttle()

    def _writable(self) -> bool:
        """As asyncio: where nobody is connected, a datagram leaves for as long as there is a socket."""
        return self.state < CLOSED if self._address is None else super()._writable()

    def _checked(self, address: Any) -> Any:
        if self._address is not None:
            if address is not None and address != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}")
            return None
        if address is None:
            raise ValueError("sendto() needs an address: the socket is not connected")
        if self.sock.family != AF_UNIX:
            check_address(address, 4 if self.sock.family == socket.AF_INET6 else 2)
        return address

    def _send_queued(self) -> None:
        while self.queue and not self.full:
            piece, address = self.queue.popleft()
            self.queued -= len(piece) + DATAGRAM_OVERHEAD
            try:
                self._send_one(piece, address)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:  # an address that Python does not take
                self._report(exc, "sendto() failed")
        self._drained()

    def _send_one(self, piece: bytes, address: Any) -> None:
        """Send, or put it back where the kernel has no room."""
        try:
            if address is None:
                self.sock.send(piece)
            else:
                self.sock.sendto(piece, address)
        except (BlockingIOError, InterruptedError):
            if self.state > CLOSING:  # nobody waits any more; a datagram may be lost
                return
            self.queue.appendleft((piece, address))
            self.queued += len(piece) + DATAGRAM_OVERHEAD
            self.full = True
            self._want()
        except OSError as exc:
            self._report_error(exc)

    def _forget_queue(self) -> None:
        self.queue.clear()


def check_address(address: Any, longest: int) -> None:
    """Raise for what is not an IP socket's address before it is queued."""
    if not isinstance(address, tuple) or not 2 <= len(address) <= longest:
        raise TypeError(f"an address is a tuple (host, port), not {address!r}")
    if not isinstance(address[0], (str, bytes, bytearray)):
        raise TypeError(f"host must be a string, not {address[0]!r}")
    if not isinstance(address[1], int):
        raise TypeError(f"port must be an integer, not {address[1]!r}")
    if not 0 <= address[1] <= 65535:
        raise OverflowError(f"port must be 0-65535, not {address[1]}")
