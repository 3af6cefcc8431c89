"""Streams for coroutines: ``asyncio.streams`` with a reader that the connection reads into.

The same signatures, the same results, the same errors. Different are the cost, and:

- A read that was cancelled has consumed nothing: the next one finds all of it, ``read(-1)`` included.
- A second read that has to wait is always refused, by the name of its method; asyncio may forget it.
- ``start_tls`` takes what was received and not read for the beginning of the handshake, never for what
  the peer said in secret afterwards.
- A ``client_connected_cb`` that fails is reported and its connection closed, a plain function as well as a
  coroutine, on every version of Python.

On cyreactor's loops the reader is the connection's sink; on any other asyncio loop, and over TLS, it is
fed by ``data_received``.
"""

from __future__ import annotations

import asyncio
from asyncio.protocols import _feed_data_to_buffered_proto as feed  # type: ignore[attr-defined]
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._backend import reader as _reader
from .limits import STREAM_LIMIT

if TYPE_CHECKING:
    from asyncio.streams import StreamReaderProtocol

    class Protocol(StreamReaderProtocol):
        """asyncio's, with the private attributes that are used here."""

        _loop: asyncio.AbstractEventLoop
        _client_connected_cb: Any
        _closed: asyncio.Future[None]
        _connection_lost: bool
        _over_ssl: bool
        _paused: bool
        _reject_connection: bool
        _stream_reader: Any
        _stream_writer: Any
        _strong_reader: Any
        _task: Any
        _transport: Any

    class Reader:
        """What of asyncio's reader is not replaced here."""

    class Writer(asyncio.StreamWriter):
        """asyncio's, with the private attributes that are used here."""

        _loop: asyncio.AbstractEventLoop
        _protocol: Any
        _reader: Any
        _transport: Any

else:
    from asyncio import StreamReader as Reader
    from asyncio import StreamReaderProtocol as Protocol
    from asyncio import StreamWriter as Writer

ClientConnected = Callable[["StreamReader", "StreamWriter"], Awaitable[None] | None]


# asyncio's options of start_tls, and it passes them all.
TLS_OPTIONS = dict.fromkeys(("server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"))


class StreamReader(_reader.StreamReader, Reader):
    """See ``asyncio.StreamReader``. ``limit`` bounds a line, and half of what may wait to be read."""

    def __init__(self, limit: int = STREAM_LIMIT, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(limit, loop or asyncio.get_event_loop())

    def __aiter__(self) -> StreamReader:
        return self


class StreamWriter(Writer):
    """See ``asyncio.StreamWriter``."""

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written. Raises what broke the connection."""
        reader, protocol = self._reader, self._protocol
        if reader is not None and (exc := reader.exception()) is not None:
            raise exc
        if self._transport.is_closing():
            await asyncio.sleep(0)  # so that a loop of writes comes to know that the connection is lost
        if type(protocol) is not StreamProtocol or protocol._paused or protocol._connection_lost:
            await protocol._drain_helper()

    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        """Go on over TLS. ``options`` are those of ``asyncio.loop.start_tls``.

        What was received and not read yet is the beginning of the handshake.
        """
        loop, protocol, reader, transport = self._loop, self._protocol, self._reader, self._transport
        await self.drain()
        options = {**TLS_OPTIONS, "server_side": protocol._client_connected_cb is not None, **options}
        if isinstance(reader, StreamReader) and not hasattr(transport, "_unread"):
            # The loop does not know. After the next iteration the connection is TLS's, and has read nothing.
            loop.call_soon(loop.call_soon, _hand_over, transport, reader._take_back())
        self._transport = await loop.start_tls(transport, protocol, sslcontext, **options)
        protocol._transport = self._transport
        protocol._over_ssl = True
        if isinstance(reader, StreamReader):
            reader._transport = self._transport


def _hand_over(transport: Any, data: bytes) -> None:
    if data and not transport.is_closing():
        feed(transport.get_protocol(), data)


class StreamProtocol(Protocol):
    """Between a transport and a reader: on cyreactor's loops only for what is rare."""

    def get_sink(self, transport: Any) -> Any:
        """For the connection: what to read into."""
        return self._stream_reader

    def connection_made(self, transport: Any) -> None:
        connected, self._client_connected_cb = self._client_connected_cb, None
        super().connection_made(transport)
        self._client_connected_cb = connected
        if connected is None or self._reject_connection:
            return
        reader, self._strong_reader = self._stream_reader, None
        writer = StreamWriter(transport, self, reader, self._loop)
        if hasattr(self, "_stream_writer"):  # before 3.13; since then a writer that nobody keeps closes
            self._stream_writer = writer
        try:
            serving = connected(reader, writer)
        except Exception as exc:
            self._failed(exc, transport)
            return
        if asyncio.iscoroutine(serving):
            self._task = self._loop.create_task(serving)
            self._task.add_done_callback(lambda task: self._served(task, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if exc is not None and not self._closed.cancelled():
            self._closed.exception()  # whoever wants it waits for the end; asyncio sees to it in __del__ only

    def _served(self, task: asyncio.Task[None], transport: Any) -> None:
        """The coroutine of a connection ended: one that failed takes the connection with it."""
        if task.cancelled():
            transport.close()
        elif exc := task.exception():
            self._failed(exc, transport)

    def _failed(self, exc: BaseException, transport: Any) -> None:
        message = "Unhandled exception in client_connected_cb"
        self._loop.call_exception_handler({"message": message, "exception": exc, "transport": transport})
        transport.close()


async def open_connection(
    host: str | None = None, port: Any = None, *, limit: int = STREAM_LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to TCP ``host:port``; see ``asyncio.open_connection``.

    ``options`` are those of ``asyncio.loop.create_connection``: ``ssl``, ``sock``, ``local_addr``, ...
    """
    return await _open("create_connection", limit, host, port, **options)


async def open_unix_connection(
    path: Any = None, *, limit: int = STREAM_LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to the Unix socket ``path``; see ``asyncio.open_unix_connection``."""
    return await _open("create_unix_connection", limit, path, **options)


async def _open(method: str, limit: int, *where: Any, **options: Any) -> tuple[StreamReader, StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamProtocol(reader, loop=loop)  # type: ignore[arg-type]  # it is one at run time
    transport, _ = await getattr(loop, method)(lambda: protocol, *where, **options)
    return reader, StreamWriter(transport, protocol, reader, loop)  # type: ignore[arg-type]


async def start_server(
    client_connected_cb: ClientConnected,
    host: Any = None,
    port: Any = None,
    *,
    limit: int = STREAM_LIMIT,
    **options: Any,
) -> asyncio.Server:
    """Listen on TCP ``host:port``; see ``asyncio.start_server``.

    ``client_connected_cb(reader, writer)`` is called, or started as a task, for each connection.
    ``options`` are those of ``asyncio.loop.create_server``: ``ssl``, ``sock``, ``reuse_port``, ...
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(_factory(loop, client_connected_cb, limit), host, port, **options)


async def start_unix_server(
    client_connected_cb: ClientConnected, path: Any = None, *, limit: int = STREAM_LIMIT, **options: Any
) -> asyncio.Server:
    """Listen on the Unix socket ``path``; see ``asyncio.start_unix_server``."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(_factory(loop, client_connected_cb, limit), path, **options)


def _factory(
    loop: asyncio.AbstractEventLoop, connected: ClientConnected, limit: int
) -> Callable[[], StreamProtocol]:
    def factory() -> StreamProtocol:
        reader: Any = StreamReader(limit, loop)
        return StreamProtocol(reader, connected, loop=loop)  # type: ignore[arg-type]

    return factory
