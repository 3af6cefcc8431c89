"""The ``sock_*`` calls: a coroutine each, for sockets that the program owns.

Each tries its system call first and waits only where the kernel would. How long the kernel's
registration lives is the core's affair: where epoll reports edges it stays, so that a conversation on
a socket costs no ``epoll_ctl``, and a cancelled call leaves nothing behind but a future that is done.

Views of what the program gave are released at once: where no references are counted (PyPy) one that is only
dropped keeps a ``bytearray`` from being resized until the garbage collector comes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio import base_events
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ._backend import loop, sock_calls
from .limits import AT_ONCE, FULL_BACKLOG_DELAY

if TYPE_CHECKING:
    Loop = loop.Loop
else:
    Loop = object  # at run time the core's is mixed in


class SocketCalls(Loop):
    """See ``asyncio.AbstractEventLoop.sock_recv`` and its neighbours; arguments and errors are theirs."""

    sock_recv = sock_calls.sock_recv  # type: ignore[assignment]  # of n: the documentation says nbytes
    sock_sendall = sock_calls.sock_sendall

    def sock_recv_into(self, sock: socket.socket, buf: Any) -> Coroutine[Any, Any, int]:
        with memoryview(buf) as view:
            size = view.nbytes
        return self._read(sock, size, "recv_into", buf)

    def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> Coroutine[Any, Any, tuple[bytes, Any]]:
        return self._read(sock, -1, "recvfrom", bufsize)

    def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> Coroutine[Any, Any, tuple[int, Any]]:
        return self._read(sock, -1, "recvfrom_into", buf, nbytes or len(buf))

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        connection, address = await self._read(sock, -1, "accept")
        connection.setblocking(False)
        return connection, address

    def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> Coroutine[Any, Any, int]:
        return self._write(sock, "sendto", data, address)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            found = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = found[0][4]
        while True:
            try:
                sock.connect(address)
            except (BlockingIOError, InterruptedError) as exc:
                if exc.errno != errno.EAGAIN:
                    await self._connected(sock, address)
                    return
                await asyncio.sleep(FULL_BACKLOG_DELAY)  # a Unix server's backlog is full, and nothing began
            else:
                return

    async def _connected(self, sock: socket.socket, address: Any) -> None:
        while True:
            await (self._readiness(sock) or self._watch_socket(sock)).wait_writable()
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, f"Connect call failed {address}")
            try:
                sock.getpeername()
            except OSError:
                continue  # an event of before the call
            return

    async def _read(self, sock: socket.socket, wanted: int, read: str, *args: Any) -> Any:
        """Call the socket's method, when there is something to read.

        Less than ``wanted`` bytes of a stream mean that it is drained; below zero says nothing, and
        none at all are to be had at any time.
        """
        self._check_socket(sock)
        while True:
            readiness = self._readiness(sock)
            if readiness is None or readiness.readable or not wanted:
                try:
                    found = getattr(sock, read)(*args)
                except (BlockingIOError, InterruptedError):
                    if not wanted:  # which PyPy asks the kernel for
                        return b"" if read == "recv" else 0
                else:
                    if readiness is not None and wanted > 0:
                        readiness.took(found if isinstance(found, int) else len(found), wanted)
                    return found
            await (self._readiness(sock) or self._watch_socket(sock)).wait_readable()

    async def _send_rest(self, sock: socket.socket, data: Any, sent: int) -> None:
        """Send what is left after the first so many bytes."""
        with memoryview(data) as whole, whole.cast("B") as octets:
            while True:
                with octets[sent : sent + AT_ONCE] as rest:
                    sent += await self._write(sock, "send", rest)
                if sent == len(octets):
                    return

    async def _write(self, sock: socket.socket, write: str, *args: Any) -> Any:
        self._check_socket(sock)
        while True:
            try:
                return getattr(sock, write)(*args)
            except (BlockingIOError, InterruptedError):
                pass
            await (self._readiness(sock) or self._watch_socket(sock)).wait_writable()

    def _check_socket(self, sock: socket.socket) -> None:
        base_events._check_ssl_socket(sock)  # type: ignore[attr-defined]
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
