"""Reactor: the chosen core's scheduler under asyncio's own event loop.

The core replaces scheduling, readiness and streams. Everything rarer (resolving, executors, servers,
subprocesses, signals, TLS) is the standard library's, and follows the running Python version.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import stat
import threading
from asyncio import SelectorEventLoop, base_events, events
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Self, TypeVar
from weakref import WeakSet

from . import tls
from ._backend import listener, loop
from .sockets import SocketCalls
from .streams import StreamReader
from .transport import DatagramTransport, RarePaths, Transport

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]

# Address families that the cores' datagrams know.
DATAGRAM_FAMILIES = {
    getattr(socket, name) for name in ("AF_INET", "AF_INET6", "AF_UNIX") if hasattr(socket, name)
}

# Those of this process, to be disowned by a child.
_reactors: WeakSet[Reactor] = WeakSet()


class Reactor(SocketCalls, loop.Loop, SelectorEventLoop):
    """An asyncio event loop, and a reactor for programs without a coroutine in sight.

    ``asyncio.Runner(loop_factory=cyreactor.Reactor)`` runs a service on it; ``listen``, ``connect``
    and ``run`` drive protocols directly. Methods that are not described here are asyncio's, see
    ``asyncio.AbstractEventLoop``.

    ``selector`` is, on the pure core, what asks the system for readiness: an object of the ``selectors``
    module; by default epoll, kqueue or whatever is best there.

    On Windows that is select, which watches at most 512 sockets, and sockets alone. As on asyncio's own
    SelectorEventLoop there, subprocesses and pipes, Unix sockets, ``add_signal_handler`` and descriptors
    that are no sockets raise NotImplementedError or OSError. Where a program needs subprocesses or pipes
    it runs on the standard library's loop (``asyncio.run``: the Proactor), on which this package's
    protocols and framers work too.
    """

    _closed = True  # until asyncio's __init__ says otherwise: its __del__ asks

    def __init__(self, selector: Any = None) -> None:
        self._listeners: dict[int, listener.Listener] = {}
        self._resting: WeakSet[Transport] = WeakSet()  # open, but perhaps not known to the poller
        self._unix_names: dict[socket.socket, tuple[str, Any]] = {}  # of `listen`, to remove at the end
        self._disowned = False
        SelectorEventLoop.__init__(self, self._adopt_selector(selector))
        _reactors.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- the direct style ---

    def listen(
        self,
        factory: Factory,
        host: str | None = None,
        port: int | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        sock: socket.socket | None = None,
        backlog: int = 100,
        reuse_port: bool = False,
    ) -> asyncio.Server:
        """Accept connections from now on, each with a protocol made by ``factory``.

        Listens on TCP ``host:port`` (no host: every interface; port 0: any free one), on the Unix
        socket ``path``, or on a bound ``sock``. A host name is resolved here and now, which blocks.
        Returns the server: its ``sockets`` tell the addresses, ``close()`` ends it. Raises OSError
        where the address cannot be had, ValueError where not exactly one address was given.
        """
        if sum(given is not None for given in (port, path, sock)) != 1:
            raise ValueError("listen() takes exactly one of port, path and sock")
        if sock is not None:
            sockets = [sock]
        elif path is not None:
            path = os.fspath(path)
            sockets = [_bind_unix(path)]
            self._unix_names[sockets[0]] = path, _inode(path)
        else:
            sockets = _bind_tcp(host, port, reuse_port)
        server: Any = base_events.Server(self, sockets, factory, None, backlog, None)
        for one in sockets:
            one.setblocking(False)
        server._start_serving()
        listening: asyncio.Server = server
        return listening

    def connect(
        self,
        factory: Factory,
        host: str | None = None,
        port: int | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> asyncio.Task[tuple[asyncio.Transport, asyncio.BaseProtocol]]:
        """Connect to TCP ``host:port`` or to the Unix socket ``path``, in the background.

        The protocol made by ``factory`` gets ``connection_made``. Returns a task: its result is the
        pair (transport, protocol), its exception says why there is no connection. ``options`` are
        those of asyncio's ``create_connection``.
        """
        opening: Any
        if path is not None:
            opening = self.create_unix_connection(factory, os.fspath(path), **options)
        else:
            opening = self.create_connection(factory, host, port, **options)  # type: ignore[arg-type]
        return self.create_task(opening)

    def run(self) -> None:
        """Run until ``stop()`` is called. KeyboardInterrupt and SystemExit leave it."""
        self.run_forever()

    def run_once(self, timeout: float | None = None) -> None:
        """Run one iteration: wait at most ``timeout`` seconds (None: until an event). For tests.

        Raises RuntimeError on a closed loop, and in a callback: an iteration is no place for another.
        """
        self._step(-1.0 if timeout is None else max(0.0, timeout))

    def _step(self, longest: float) -> int:
        """One iteration, as the running loop; how many events there were."""
        self._check_closed()
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        outer = events._get_running_loop()
        self._thread_id = threading.get_ident()
        events._set_running_loop(self)
        try:
            return self._iterate(longest)
        finally:
            self._thread_id = None
            events._set_running_loop(outer)

    def connections(self) -> Iterator[Transport]:
        """The stream connections that are open now."""
        for watcher in {*self._poller.all_watchers(), *self._resting}:
            if isinstance(watcher, Transport) and watcher.fd >= 0:
                yield watcher

    # --- asyncio's seams ---

    def run_forever(self) -> None:
        self._check_closed()
        self._check_running()  # asyncio's own of 3.13 refuses, and then forgets that it runs
        with self._woken_by_signals():
            self._driven = True
            try:
                SelectorEventLoop.run_forever(self)
            finally:
                self._driven = False

    @contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        """A signal that comes just before a wait must end it: Python's handler runs only then."""
        if threading.current_thread() is not threading.main_thread() or self._csock is None:
            yield
            return
        before = signal.set_wakeup_fd(self._csock.fileno())
        try:
            yield
        finally:
            if not getattr(self, "_signal_handlers", None):
                signal.set_wakeup_fd(before)

    def _disown(self) -> None:
        """In a forked child: parent and child share the kernel's registrations, so touch none of them."""
        self._disowned = True
        self._unix_names.clear()  # the files are the parent's
        getattr(self, "_unix_server_sockets", {}).clear()
        self._release()

    def _check_closed(self) -> None:
        if self._disowned:
            raise RuntimeError(f"{self!r} belongs to the process that forked this one: make a new loop here")
        SelectorEventLoop._check_closed(self)  # type: ignore[attr-defined]

    def close(self) -> None:
        if not self.is_closed():
            SelectorEventLoop.close(self)
            self._release()

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        SelectorEventLoop._ensure_fd_no_transport(self, fd)  # type: ignore[attr-defined]
        watcher = self._poller.watcher(fd if isinstance(fd, int) else fd.fileno())
        if isinstance(watcher, RarePaths) and not watcher.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {watcher!r}")

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.Server | None = None,
        context: Context | None = None,
    ) -> Transport:
        self._ensure_fd_no_transport(sock)
        _set_nodelay(sock)
        transport = _in(context, Transport, self, sock, protocol, server)
        transport._remember(extra)
        for name in ("socket", "sockname", "peername"):  # while they are surely there
            transport.get_extra_info(name)
        self.call_soon(transport._start, waiter)
        return transport

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Any:
        if sock.family not in DATAGRAM_FAMILIES:  # asyncio's own knows every family that Python knows
            return SelectorEventLoop._make_datagram_transport(  # type: ignore[attr-defined]
                self, sock, protocol, address, waiter, extra
            )
        self._ensure_fd_no_transport(sock)
        transport = DatagramTransport(self, sock, protocol, address)
        transport._remember(extra)
        self.call_soon(transport._start, waiter)
        return transport

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        reading = transp.is_reading()
        transp.pause_reading()
        empty = transp._make_empty_waiter()
        try:
            await empty
            if transp.is_closing():
                raise RuntimeError("Transport is closing")
            transp._unwatch()
            return await self.sock_sendfile(transp._sock, file, offset, count, fallback=False)
        finally:
            transp._reset_empty_waiter()
            if reading:
                transp.resume_reading()

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        **timeouts: Any,
    ) -> Any:
        """See ``asyncio.loop.start_tls``; what a stream reader has read too far belongs to the handshake."""
        import ssl

        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(f"sslcontext must be an ssl.SSLContext, got {sslcontext!r}")
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        done = self.create_future()
        secured = tls.protocol(
            self,
            protocol,
            sslcontext,
            done,
            server_side,
            server_hostname,
            call_connection_made=False,
            **timeouts,
        )
        transport.pause_reading()
        if isinstance(transport, Transport) and (read_too_far := _read_too_far(protocol)):
            transport._unread(read_too_far)
        transport.set_protocol(secured)
        steps = [
            self.call_soon(secured.connection_made, transport),
            self.call_soon(transport.resume_reading),
        ]
        try:
            await done
        except BaseException:
            transport.close()
            for step in steps:
                step.cancel()
            del done  # it has the exception, which has this frame: a cycle, for the garbage collector
            raise
        return secured._app_transport

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.Server | None = None,
        context: Context | None = None,
        **timeouts: Any,
    ) -> Any:
        secured = tls.protocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts
        )
        self._make_socket_transport(rawsock, secured, extra=extra, server=server, context=context)
        return secured._app_transport

    def _start_serving(
        self,
        protocol_factory: Factory,
        sock: socket.socket,
        sslcontext: Any = None,
        server: asyncio.Server | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        context: Context | None = None,
    ) -> None:
        factory = protocol_factory
        if sslcontext is not None:

            def factory() -> Any:
                return tls.protocol(
                    self,
                    protocol_factory(),
                    sslcontext,
                    None,
                    server_side=True,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )

        _set_nodelay(sock)  # accepted connections inherit it
        name = _shared_name(sock)
        accepting = _in(context, listener.Listener, self, sock, factory, Transport, server, backlog, name)
        self._listeners[sock.fileno()] = accepting
        accepting.start()

    def _stop_serving(self, sock: socket.socket) -> None:
        accepting = self._listeners.pop(sock.fileno(), None)
        if accepting is not None:
            accepting.stop()
        path, inode = self._unix_names.pop(sock, ("", None))
        SelectorEventLoop._stop_serving(self, sock)  # type: ignore[attr-defined]
        if inode is not None and _inode(path) == inode:
            os.unlink(path)

    def _report_slow(self, what: object, seconds: float) -> None:
        if seconds >= self.slow_callback_duration:
            base_events.logger.warning("Executing %r took %.3f seconds", what, seconds)  # type: ignore[attr-defined]


def new_event_loop() -> Reactor:
    """A new Reactor: the counterpart of ``asyncio.new_event_loop``."""
    return Reactor()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end on a new Reactor, as ``asyncio.run`` does, and return its result."""
    with asyncio.Runner(debug=debug, loop_factory=Reactor) as runner:
        return runner.run(main)


def _disown_all() -> None:
    if _reactors:
        signal.set_wakeup_fd(-1)  # or the child's signals would arrive in the parent's loop
    for reactor in list(_reactors):
        reactor._disown()
    _reactors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)


def _in(context: Context | None, make: Callable[..., T], *arguments: Any) -> T:
    """Make what keeps a copy of the context that it is made in; asyncio of 3.15 hands one over."""
    return make(*arguments) if context is None else context.run(make, *arguments)


def _read_too_far(protocol: Any) -> bytes:
    """What a stream reader of ours, or of asyncio's, has received and nobody has read."""
    reader = getattr(protocol, "_stream_reader", None)
    if isinstance(reader, StreamReader):
        return reader._take_back()
    buffer: bytearray = getattr(reader, "_buffer", bytearray())
    data = bytes(buffer)
    buffer.clear()
    return data


def _shared_name(sock: socket.socket) -> Any:
    """The own address of every connection that the listener accepts; None where each has its own.

    The rest would be one system call a connection.
    """
    if sock.family == getattr(socket, "AF_UNIX", None):
        return sock.getsockname()
    if sock.family != socket.AF_INET or sock.getsockname()[0] == "0.0.0.0":
        return None
    return None if _may_be_transparent(sock) else sock.getsockname()


def _may_be_transparent(sock: socket.socket) -> bool:
    """Whether connections may have the address that their client meant, which is not the listener's."""
    option = getattr(socket, "IP_TRANSPARENT", None)
    try:
        return option is None or bool(sock.getsockopt(socket.SOL_IP, option))
    except OSError:  # who runs Linux's programs need not know all of its options, as qemu's user mode
        return True


def _set_nodelay(sock: socket.socket) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _bind_tcp(host: str | None, port: int | None, reuse_port: bool) -> list[socket.socket]:
    """A listening socket for each address that the host has."""
    if port is not None and not 0 <= port <= 65535:  # the resolver would take it modulo 65536
        raise OverflowError(f"port must be 0-65535, not {port}")
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in _with_one_port(found, sockets):
            sockets.append(socket.create_server(address, family=family, reuse_port=reuse_port))
    except OSError as exc:
        for sock in sockets:
            sock.close()
        raise _cannot_listen(f"{host or '*'}:{port}", exc) from None
    return sockets


def _with_one_port(found: Iterable[Any], sockets: list[socket.socket]) -> Iterator[Any]:
    """Port 0 means any free one, but the same for every address."""
    for family, kind, protocol, name, address in dict.fromkeys(found):
        if sockets and address[1] == 0:
            address = (address[0], sockets[0].getsockname()[1], *address[2:])
        yield family, kind, protocol, name, address


def _bind_unix(path: str) -> socket.socket:
    """A listening Unix socket; one that a dead server left behind is replaced, as asyncio does."""
    if not path:
        raise ValueError("the path of a Unix socket must not be empty")
    if not hasattr(socket, "AF_UNIX"):
        raise _cannot_listen(path, OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets"))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path[:1] != "\0" and os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
        sock.bind(path)
    except OSError as exc:
        sock.close()
        raise _cannot_listen(path, exc) from None
    return sock


def _inode(path: str) -> tuple[int, int] | None:
    """What tells a file from another one that took its name; None for what is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _cannot_listen(where: str, exc: OSError) -> OSError:
    return type(exc)(exc.errno, f"cannot listen on {where}: {exc.strerror or exc}")


