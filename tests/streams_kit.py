"""What tests of streams share: protocols that write down what happens, and connections to drive."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import socket
import struct
import sys

from cyreactor import testing

# Where a framed protocol runs: on the reactor the connection reads into the framer, elsewhere data_received
# feeds it.
LOOPS = ["reactor", "asyncio"]
if importlib.util.find_spec("uvloop"):
    LOOPS.append("uvloop")

# Elsewhere, on PyPy, an object that nobody knows any more is there until a collection.
COUNTS_REFERENCES = sys.implementation.name == "cpython"

# The callbacks, as tests write them.
SHORT = {
    "connection_made": "made",
    "data_received": "data",
    "eof_received": "eof",
    "pause_writing": "pause",
    "resume_writing": "resume",
    "connection_lost": "lost",
}


def collect():
    """Let go of what nobody knows; where no references are counted, each finalizer in a row takes a round."""
    for _ in range(1 if COUNTS_REFERENCES else 5):
        gc.collect()


class Recorder(testing.Recorder):
    """Writes down what is called, in order and in short; ``lost`` is a future for the end."""

    def __init__(self, **options):
        super().__init__(**options)
        self.lost = asyncio.get_running_loop().create_future()

    def called(self, name, *args):
        self.calls.append(SHORT[name])
        if name == "connection_lost":
            self.lost.set_result(*args)


class HalfOpen(Recorder):
    """Goes on writing after the peer's end of stream."""

    def __init__(self):
        super().__init__(half_open=True)


def recording_lines(core, **options):
    """A LineProtocol class that writes down messages and the end; ``options`` are attributes of it."""

    class Lines(core.LineProtocol):
        def __init__(self):
            self.calls = []
            self.lost = asyncio.get_running_loop().create_future()

        def message_received(self, message):
            self.calls.append(message)

        def eof_received(self):
            self.calls.append("eof")

        def connection_lost(self, exc):
            self.calls.append("lost")
            self.lost.set_result(exc)

    return type("Lines", (Lines,), options)


def driver(core):
    """Runs a coroutine on the core: errors reported to the loop are collected, and expected by name."""

    def run(scenario, expect=()):
        reported = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
            await asyncio.wait_for(scenario(loop), 20)

        core.run(main())
        assert reported == list(expect)

    return run


# The writers of the peers of a running scenario, to be put away at its end, whatever that was.
peers = []


def player(core, loop):
    """Runs a coroutine on one of LOOPS; returns the exceptions that were reported to its handler.

    Unless a scenario ``may_fail``, none may be.
    """

    def factory():
        if loop == "reactor":
            return core.Reactor()
        if loop == "asyncio":
            return asyncio.SelectorEventLoop()
        return importlib.import_module("uvloop").new_event_loop()

    def run(scenario, *, may_fail=False):
        reported = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
            try:
                await asyncio.wait_for(scenario(), 20)
            finally:
                await put_away()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        assert may_fail or reported == []
        return [context.get("exception") for context in reported]

    return run


async def put_away():
    if peers:
        for writer in peers:
            writer.transport.abort()
        peers.clear()
        await asyncio.sleep(0.002)


def framed(base, **options):
    """A protocol that answers each message with itself, and writes down what comes."""

    class Echo(base):
        def __init__(self):
            self.messages = []
            self.lost = asyncio.get_running_loop().create_future()

        def message_received(self, message):
            self.messages.append(message)
            self.send_message(message)

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    return type("Echo", (Echo,), options)


async def opened(factory):
    """A protocol on a connection of the running loop, and the peer's reader and writer."""
    ours, theirs = socket.socketpair()
    _, protocol = await asyncio.get_running_loop().create_connection(factory, sock=ours)
    return protocol, *await asyncio.open_connection(sock=theirs)


async def leave(protocol, writer):
    writer.close()
    await writer.wait_closed()
    return await protocol.lost


async def pair(loop, factory=Recorder):
    """A protocol on a connection of the loop's, and the blocking peer of it."""
    ours, peer = narrow_pair()
    _, protocol = await loop.create_connection(factory, sock=ours)
    return protocol, peer


def narrow_pair():
    """Two connected sockets that hold little, so that a write soon has to wait."""
    ours, peer = socket.socketpair()
    peer.settimeout(5)
    for sock in (ours, peer):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ours, peer


class Wires:
    """Connections of a reactor that a test drives step by step; ``close`` puts all of it away."""

    def __init__(self, reactor):
        self.reactor = reactor
        self.sockets = []
        self.transports = []  # as on asyncio, the loop does not keep one that waits for nothing

    def attach(self, factory=Recorder):
        """A protocol on a connection, and the blocking peer of it."""
        ours, peer = narrow_pair()
        self.sockets.append(peer)
        opening = self.reactor.create_connection(factory, sock=ours)
        transport, protocol = self.reactor.run_until_complete(opening)
        self.transports.append(transport)
        return protocol, peer

    def pair(self):
        """Two connected sockets of the test's own."""
        self.sockets += socket.socketpair()
        return self.sockets[-2:]

    def client(self, server):
        """A blocking client of a server on TCP."""
        client = socket.create_connection(server.sockets[0].getsockname(), timeout=5)
        self.sockets.append(client)
        return client

    def close(self):
        for transport in self.transports:
            transport.abort()
        for sock in self.sockets:
            if sock.fileno() >= 0 and not self.reactor.is_closed():
                self.reactor.remove_reader(sock)  # poll() reports a closed descriptor for ever
            sock.close()


def said(reactor):
    """What was reported to the reactor's exception handler since the last time."""
    messages = list(reactor.reported)
    reactor.reported.clear()
    return messages


def steps(reactor, count=3):
    """A few iterations that do not wait."""
    for _ in range(count):
        reactor.run_once(0)


def within(reactor, work):
    """Do it in a callback of one iteration: what it holds back leaves in the next. What it returned."""
    results = []
    reactor.call_soon(lambda: results.append(work()))
    steps(reactor, 1)
    return results.pop()


def step_until(reactor, condition):
    """Iterate until it holds; the guard keeps a mistake from hanging the suite."""
    guard = reactor.time() + 20
    while not condition():
        assert reactor.time() < guard, "it never came"
        reactor.run_once(0.01)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def read_all(loop, peer, count):
    data = b""
    peer.setblocking(False)
    while len(data) < count:
        piece = await loop.sock_recv(peer, 1 << 20)
        if not piece:
            break
        data += piece
    return data


def drain(reactor, peer, count):
    """The same between iterations: everything that comes, up to so many bytes or the end."""
    data = b""
    peer.setblocking(False)
    guard = reactor.time() + 20
    while len(data) < count and reactor.time() < guard:
        try:
            piece = peer.recv(1 << 20)
        except BlockingIOError:
            reactor.run_once(0.01)
            continue
        if not piece:
            break
        data += piece
    return data


def reset(sock):
    """Close a TCP socket so that its peer meets ECONNRESET."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
