"""Context variables: callbacks see what whoever made the connection saw."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from streams_kit import Recorder, recording_lines, step_until, steps

variable = contextvars.ContextVar("variable", default="unset")


class Noting(Recorder):
    """Notes the variable in each callback."""

    def __init__(self):
        super().__init__()
        self.seen = {}


def _note(name):
    def callback(self, *args):
        getattr(Recorder, name)(self, *args)
        self.seen[name] = variable.get()

    return callback


CALLBACKS = [
    "connection_made", "data_received", "pause_writing", "resume_writing", "eof_received", "connection_lost",
]  # fmt: skip
for name in CALLBACKS:
    setattr(Noting, name, _note(name))


def live(reactor, protocol, peer):
    """Have every callback called, from a context in which the variable is something else."""
    contextvars.copy_context().run(_live, reactor, protocol, peer)


def _live(reactor, protocol, peer):
    variable.set("somebody else's")
    peer.send(b"x")
    step_until(reactor, lambda: protocol.received)
    reactor.call_soon(protocol.transport.write, bytes(10_000_000))
    steps(reactor)
    peer.setblocking(False)
    reactor.add_reader(peer, peer.recv, 1 << 20)
    step_until(reactor, lambda: "resume" in protocol.calls)
    reactor.remove_reader(peer)
    peer.close()
    step_until(reactor, lambda: protocol.lost.done())


def test_a_variable_set_before_listening_is_seen_in_every_callback(reactor, wires):
    made = []

    def listen():
        variable.set("the server's")
        return reactor.listen(lambda: made.append(Noting()) or made[-1], "127.0.0.1", 0)

    server = contextvars.copy_context().run(listen)
    client = wires.client(server)
    step_until(reactor, lambda: made and made[0].calls)
    live(reactor, made[0], client)
    seen = {name: value for name, value in made[0].seen.items() if name != "pause_writing"}
    assert set(seen.values()) == {"the server's"}
    server.close()


def test_a_variable_set_before_connecting_is_seen_in_every_callback(reactor, wires):
    def attach():
        variable.set("the client's")
        return wires.attach(Noting)

    protocol, peer = contextvars.copy_context().run(attach)
    live(reactor, protocol, peer)
    seen = {name: value for name, value in protocol.seen.items() if name != "pause_writing"}
    assert set(seen.values()) == {"the client's"}
    assert seen.keys() >= {"connection_made", "data_received", "resume_writing", "connection_lost"}


def test_what_a_callback_sets_the_next_one_sees(core, reactor, wires):
    class Counting(recording_lines(core)):
        def message_received(self, message):
            self.calls.append(variable.get())
            variable.set(message)

    protocol, peer = wires.attach(Counting)
    other, other_peer = wires.attach(Counting)
    peer.send(b"one\ntwo\n")
    step_until(reactor, lambda: len(protocol.calls) == 2)
    peer.send(b"three\n")
    other_peer.send(b"other\n")
    step_until(reactor, lambda: len(protocol.calls) == 3 and other.calls)
    assert protocol.calls == ["unset", b"one", b"two"]
    assert other.calls == ["unset"]
    assert variable.get() == "unset"


def test_messages_delivered_after_a_pause_are_in_the_connection_s_context(core, reactor, wires):
    class Pausing(recording_lines(core)):
        def message_received(self, message):
            self.calls.append(variable.get())
            variable.set("set inside")
            self.transport.pause_reading()

    protocol, peer = wires.attach(Pausing)
    peer.send(b"one\ntwo\n")
    step_until(reactor, lambda: len(protocol.calls) == 1)
    contextvars.copy_context().run(protocol.transport.resume_reading)
    step_until(reactor, lambda: len(protocol.calls) == 2)
    assert protocol.calls == ["unset", "set inside"]


def test_a_stream_server_s_tasks_see_what_was_set_before(drive):
    async def answer(reader, writer):
        writer.write(variable.get().encode())
        writer.close()

    async def scenario(loop):
        variable.set("before start_server")
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        variable.set("after")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b"before start_server"
        writer.close()
        server.close()
        await asyncio.sleep(0)

    drive(scenario)


SCHEDULED = {
    "call_soon": lambda loop, f, **kw: loop.call_soon(f, **kw),
    "call_later": lambda loop, f, **kw: loop.call_later(0, f, **kw),
    "call_at": lambda loop, f, **kw: loop.call_at(loop.time(), f, **kw),
    "call_soon_threadsafe": lambda loop, f, **kw: loop.call_soon_threadsafe(f, **kw),
}


@pytest.mark.parametrize("how", SCHEDULED)
def test_a_callback_runs_in_the_context_of_its_caller_or_in_the_one_given(reactor, how):
    seen = []

    def note():
        seen.append(variable.get())

    def schedule():
        variable.set("the caller's")
        SCHEDULED[how](reactor, note)

    contextvars.copy_context().run(schedule)
    given = contextvars.copy_context()
    given.run(variable.set, "given")
    SCHEDULED[how](reactor, note, context=given)
    step_until(reactor, lambda: len(seen) == 2)
    assert seen == ["the caller's", "given"]


def test_a_watched_descriptor_s_callback_runs_in_its_caller_s_context(reactor, wires):
    ours, peer = wires.pair()
    seen = []

    def watch():
        variable.set("the watcher's")
        reactor.add_reader(ours, lambda: seen.append(variable.get()))

    contextvars.copy_context().run(watch)
    peer.send(b"x")
    reactor.run_once(5)
    assert seen == ["the watcher's"]
    reactor.remove_reader(ours)
