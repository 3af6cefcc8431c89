"""A program as on Windows: run in a process of its own, it hides what only Unix has, and serves an echo.

What the standard library takes from Unix itself was imported before; its event loop is the selector loop
that Windows has, the base class with nothing added.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import mimetypes  # noqa: F401  # asks sys.platform, and PyPy would have what it asks for
import os
import selectors
import signal
import socket
import ssl  # noqa: F401  # asks sys.platform
import subprocess  # noqa: F401
import sys
import threading

MODULES = (
    "fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "syslog", "readline",
    "asyncio.unix_events",
)  # fmt: skip

NAMES = {
    os: ["fork", "forkpty", "register_at_fork", "get_blocking", "set_blocking", "getuid", "geteuid", "getgid",
         "sendfile", "eventfd", "pidfd_open", "mkfifo", "uname", "WNOHANG", "O_NONBLOCK"],
    signal: ["SIGCHLD", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGQUIT", "setitimer",
             "pthread_sigmask", "siginterrupt", "sigwait", "alarm", "pause"],
    socket: ["AF_UNIX", "SO_REUSEPORT", "send_fds", "recv_fds", "CMSG_LEN", "SCM_RIGHTS", "MSG_DONTWAIT"],
    selectors: ["EpollSelector", "PollSelector", "DevpollSelector", "KqueueSelector"],
    selectors.select: ["epoll", "poll", "kqueue", "devpoll"],
}  # fmt: skip

WINDOWS_EVENTS = """
from asyncio import base_subprocess, selector_events
__all__ = ("SelectorEventLoop", "DefaultEventLoopPolicy", "EventLoop")
from asyncio import events
class SelectorEventLoop(selector_events.BaseSelectorEventLoop): pass
EventLoop = SelectorEventLoop
base = getattr(events, "BaseDefaultEventLoopPolicy", None) or events._BaseDefaultEventLoopPolicy
class DefaultEventLoopPolicy(base): _loop_factory = SelectorEventLoop
_DefaultEventLoopPolicy = DefaultEventLoopPolicy
"""


class WindowsEvents:
    """Finds asyncio's module for Windows, which cannot be imported elsewhere."""

    def find_spec(self, name, path=None, target=None):
        if name == "asyncio.windows_events":
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(WINDOWS_EVENTS, module.__dict__)


class Missing:
    """A method that a socket does not have there."""

    def __get__(self, instance, owner):
        raise AttributeError("not on Windows")


def tcp_pair():
    """What ``socket.socketpair`` is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        return server.accept()[0], client


def hide():
    for module, names in NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in ("sendmsg", "recvmsg", "recvmsg_into", "sendmsg_afalg"):
        setattr(socket.socket, name, Missing())
    socket.socketpair = tcp_pair
    selectors.DefaultSelector = selectors.SelectSelector
    for name in [name for name in sys.modules if name.split(".")[0] == "asyncio"]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(MODULES))
    sys.meta_path.insert(0, WindowsEvents())
    sys.platform, os.name = "win32", "nt"


hide()

import asyncio  # noqa: E402

import cyreactor  # noqa: E402
import cyreactor.cli  # noqa: E402
from cyreactor import http, resp, testing  # noqa: E402, F401


class Shout(cyreactor.LineProtocol):
    def message_received(self, message):
        self.send_message(message.upper())


class Datagrams(cyreactor.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b"ping":
            self.transport.sendto(b"pong", addr)
        self.received.set_result(data)


async def echo_lines():
    loop = asyncio.get_running_loop()
    server = loop.listen(Shout, "127.0.0.1", 0)
    reader, writer = await cyreactor.open_connection(*server.sockets[0].getsockname())
    writer.writelines([b"hel", b"lo\n"])
    assert await reader.readline() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    server.close()


async def echo_datagrams():
    loop = asyncio.get_running_loop()
    there, answering = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    here, asking = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    here.sendto(b"ping", there.get_extra_info("sockname"))
    assert await asking.received == b"pong"
    assert await answering.received == b"ping"
    here.close()
    there.close()


async def the_rest():
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
    with contextlib.suppress(OSError):
        loop.listen(Shout, path="socket")
        raise AssertionError("listens on a Unix socket")


def serve():
    """``serve``, from its start to its end by Ctrl-C."""
    cyreactor.serve(Shout, "127.0.0.1", 0, ready=lambda server: signal.raise_signal(signal.SIGINT))


def main():
    assert not [name for name in MODULES if sys.modules.get(name)]
    for selector in (None, selectors.SelectSelector()):
        with asyncio.Runner(loop_factory=lambda selector=selector: cyreactor.Reactor(selector)) as runner:
            assert runner.get_loop()._poller.backend == "SelectSelector"
            for part in (echo_lines, echo_datagrams, the_rest):
                runner.run(asyncio.wait_for(part(), 20))
    serve()
    assert testing.feed(Shout(), b"hello\n", cuts=1).sent == b"HELLO\n"


main()
print("fine")
