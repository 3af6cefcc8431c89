"""A random script of events gives the same trace on both cores.

The script drives a few connections over socket pairs, step by step: what peers send and take, what
a program calls from outside, and what protocols do inside their own callbacks.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

from cores import CORES, load_core
from hypothesis import given
from hypothesis import strategies as st

CONNECTIONS = 2

# What often ends a connection comes rarely, or little else would be seen.
write = st.tuples(st.just("write"), st.sampled_from([0, 1, 10, 3_000, 70_000]))
writelines = st.tuples(st.just("writelines"), st.lists(st.sampled_from([0, 1, 3_000]), max_size=4))
harmless = st.tuples(st.sampled_from(["pause", "resume", "resume", "switch", "switch", "soon", "later"]))
ending = st.tuples(st.sampled_from(["close", "abort", "eof", "raise"]))
calls = st.one_of(write, write, writelines, harmless, harmless, harmless, ending)
events = st.one_of(
    st.tuples(st.just("step")),
    st.tuples(st.just("step")),
    st.tuples(st.just("step")),
    st.tuples(st.just("send"), st.sampled_from([b"a\n", b"bc\nd", b"\n\n\n", b"e\nf\ng\n"])),
    st.tuples(st.just("send"), st.sampled_from([b"a\n", b"bc\nd", b"\n\n\n", b"x" * 40, b"y" * 70_000])),
    st.tuples(st.just("take"), st.sampled_from([1, 5_000, 1_000_000])),
    calls,
    calls,
    st.tuples(st.sampled_from(["shut", "leave", "step", "step", "step"])),
)
scripts = st.lists(st.tuples(st.integers(0, CONNECTIONS - 1), events), min_size=20, max_size=60)
reactions = st.lists(calls, min_size=5, max_size=20)


class Replay:
    """One core's run of a script."""

    def __init__(self, core, framed, reactions):
        self.core = core
        self.framed = framed
        self.reactions = list(reactions)
        self.trace = []
        self.written = 0

    def run(self, script):
        with closing(self.core.new_event_loop()) as loop:
            self.loop = loop
            loop.set_exception_handler(lambda _, context: self.trace.append(context["message"]))
            asyncio._set_running_loop(loop)
            try:
                self.open()
                for who, event in script:
                    self.play(who, *event)
                self.end()
            finally:
                asyncio._set_running_loop(None)
        return self.trace

    def open(self):
        self.peers, self.transports = [], []
        for who in range(CONNECTIONS):
            ours, peer = socket.socketpair()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.setblocking(False)
            peer.setblocking(False)
            self.peers.append(peer)
            self.transports.append(self.loop._make_socket_transport(ours, self.protocol(who)))

    def protocol(self, who):
        if self.framed:
            return type("Lines", (Traced, self.core.LineProtocol), {"max_length": 30})(self, who)
        return Bytes(self, who)

    def step(self):
        self.loop.run_once(0)

    def end(self):
        for transport, peer in zip(self.transports, self.peers, strict=True):
            transport.abort()
            peer.close()
        for _ in range(5):
            self.step()

    def play(self, who, action, argument=None):
        if action == "step":
            self.step()
        elif action == "send":
            self.peer(who, lambda peer: peer.send(argument))
        elif action == "take":
            self.peer(who, lambda peer: (len(data := peer.recv(argument)), data[:20], data[-20:]))
        elif action == "shut":
            self.peer(who, lambda peer: peer.shutdown(socket.SHUT_WR))
        elif action == "leave":
            self.peers[who].close()
        else:
            try:
                self.call(who, action, argument)
            except (RuntimeError, ZeroDivisionError) as exc:
                self.note(who, "raised", type(exc).__name__, str(exc))
        transport = self.transports[who]
        self.note(who, transport.is_closing(), transport.is_reading(), transport.get_write_buffer_size())

    def peer(self, who, act):
        try:
            self.note(who, "peer", act(self.peers[who]))
        except OSError as exc:
            self.note(who, "peer", type(exc).__name__)

    def call(self, who, action, argument=None):
        transport = self.transports[who]
        if action == "write":
            transport.write(self.fresh(argument))
        elif action == "writelines":
            transport.writelines([self.fresh(size) for size in argument])
        elif action == "pause":
            transport.pause_reading()
        elif action == "resume":
            transport.resume_reading()
        elif action == "close":
            transport.close()
        elif action == "abort":
            transport.abort()
        elif action == "eof":
            transport.write_eof()
        elif action == "switch" and transport.get_protocol() is not None:
            transport.set_protocol(self.protocol(who))
        elif action == "raise":
            raise ZeroDivisionError
        elif action == "soon":
            self.loop.call_soon(self.note, who, "soon")
        elif action == "later":
            self.loop.call_later(0, self.note, who, "later")

    def fresh(self, size):
        self.written += 1
        return bytes([self.written & 0xFF]) * size

    def react(self, who):
        if self.reactions:
            self.call(who, *self.reactions.pop(0))

    def note(self, *what):
        self.trace.append(what)


class Traced:
    """Writes down its callbacks, and does in each what the script has next."""

    def __init__(self, replay, who):
        self.replay, self.who = replay, who

    def noted(self, *what):
        self.replay.note(self.who, *what)
        self.replay.react(self.who)

    def connection_made(self, transport):
        self.replay.transports[self.who] = transport
        self.noted("made")

    def message_received(self, message):
        self.noted("message", message)

    def eof_received(self):
        self.noted("eof")
        return self.who == 1

    def pause_writing(self):
        self.noted("pause_writing")

    def resume_writing(self):
        self.noted("resume_writing")

    def connection_lost(self, exc):
        self.replay.note(self.who, "lost", type(exc).__name__, str(exc))


class Bytes(Traced, asyncio.Protocol):
    def data_received(self, data):
        self.noted("data", len(data), data[:10])


@given(script=scripts, reactions=reactions)
def test_bytes(script, reactions):
    compare(False, script, reactions)


@given(script=scripts, reactions=reactions)
def test_lines(script, reactions):
    compare(True, script, reactions)


def compare(framed, script, reactions):
    traces = [Replay(load_core(core), framed, reactions).run(script) for core in CORES]
    assert traces[0] == traces[-1]
