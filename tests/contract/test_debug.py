"""Debug mode, and what a program is told about itself."""

from __future__ import annotations

import logging
import threading

import pytest
from streams_kit import Recorder, recording_lines, steps


@pytest.fixture
def warned(reactor, caplog):
    """A reactor in debug mode to which everything is slow, and what it logs of that."""
    reactor.set_debug(True)
    reactor.slow_callback_duration = 0
    with caplog.at_level(logging.WARNING, "asyncio"):
        yield lambda what: [message for message in caplog.messages if what in message]
    reactor.set_debug(False)


def slow():
    pass


def test_a_slow_callback_is_named(reactor, warned):
    reactor.call_soon(slow)
    reactor.call_later(0, slow)
    steps(reactor, 2)
    messages = warned("slow")
    assert len(messages) == 2
    assert all(message.startswith("Executing <") and "took" in message for message in messages)


def test_a_slow_reader_is_named(reactor, wires, warned):
    ours, peer = wires.pair()
    reactor.add_reader(ours, slow)
    peer.send(b"x")
    reactor.run_once(5)
    reactor.remove_reader(ours)
    assert warned("slow")


@pytest.mark.parametrize("framed", [False, True])
def test_a_slow_protocol_callback_is_named_by_its_transport(core, reactor, wires, warned, framed):
    _, peer = wires.attach(recording_lines(core) if framed else Recorder)
    peer.send(b"x\n")
    steps(reactor, 1)
    assert warned("Executing <Transport fd=")


def test_nothing_is_said_outside_of_debug_mode(reactor, wires, caplog):
    reactor.slow_callback_duration = 0
    _, peer = wires.attach()
    with caplog.at_level(logging.WARNING, "asyncio"):
        peer.send(b"x")
        reactor.call_soon(slow)
        steps(reactor)
    assert caplog.messages == []


def test_nothing_is_said_of_what_is_quick(reactor, wires, warned):
    reactor.slow_callback_duration = 1000
    _, peer = wires.attach()
    peer.send(b"x")
    reactor.call_soon(slow)
    steps(reactor)
    assert warned("took") == []


@pytest.mark.parametrize("how", ["call_soon", "call_later", "call_at"])
def test_scheduling_from_a_wrong_thread_is_refused(reactor, warned, how):
    refused = []

    def schedule():
        try:
            getattr(reactor, how)(*([] if how == "call_soon" else [0]), slow)
        except RuntimeError as exc:
            refused.append(str(exc))

    def start():
        thread = threading.Thread(target=schedule)
        thread.start()
        thread.join()

    reactor.call_soon(start)
    steps(reactor, 1)
    assert len(refused) == 1
    assert "Non-thread-safe operation" in refused[0]


@pytest.mark.parametrize("how", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
def test_a_coroutine_is_refused_as_a_callback(reactor, warned, how):
    async def coroutine():
        raise AssertionError("never called")

    with pytest.raises(TypeError, match="coroutines cannot be used"):
        getattr(reactor, how)(*([0] if how in ("call_later", "call_at") else []), coroutine)


@pytest.mark.parametrize("how", ["call_soon", "call_later"])
def test_a_handle_says_what_it_calls_and_that_it_was_cancelled(reactor, how):
    handle = getattr(reactor, how)(*([60] if how == "call_later" else []), slow)
    assert "slow" in repr(handle)
    assert "cancelled" not in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle)
    assert handle.cancelled()
    handle.cancel()
    steps(reactor)


def test_a_handle_made_in_debug_mode_says_where(reactor, warned):
    handle = reactor.call_soon(slow)
    assert "created at" in repr(handle)
    assert __file__ in repr(handle)
    handle.cancel()
    assert "slow" in repr(handle)  # of a cancelled one too, in debug mode
    steps(reactor)


def test_an_exception_in_a_callback_is_reported_with_the_handle(reactor):
    contexts = []
    reactor.set_exception_handler(lambda loop, context: contexts.append((loop, context)))

    def fail():
        raise ZeroDivisionError

    handle = reactor.call_soon(fail)
    steps(reactor, 1)
    [(loop, context)] = contexts
    assert loop is reactor
    assert context["handle"] is handle
    assert "fail" in context["message"]


def test_an_exception_of_a_protocol_is_reported_with_its_transport(reactor, wires):
    contexts = []
    reactor.set_exception_handler(lambda loop, context: contexts.append(context))

    class Failing(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    protocol, peer = wires.attach(Failing)
    peer.send(b"x")
    steps(reactor, 1)
    assert contexts[0]["protocol"] is protocol
    assert contexts[0]["transport"] is protocol.transport


def test_a_transport_says_what_it_is_doing(wires):
    protocol, _ = wires.attach()
    assert "read=polling" in repr(protocol.transport)
    assert "bufsize=0" in repr(protocol.transport)
    protocol.transport.pause_reading()
    assert "read=idle" in repr(protocol.transport)
    protocol.transport.write(bytes(100_000))
    assert "write=<polling" in repr(protocol.transport)
    protocol.transport.close()
    assert "closing" in repr(protocol.transport)
