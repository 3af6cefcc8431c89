"""Framers without I/O: limits that hold early, failures that last, searches that never start over."""

from __future__ import annotations

import sys

import pytest
from streams_kit import steps

LIMIT = 10

# A framer, what is over its limit or no message while it is still incomplete, and what is just within it.
FRAMERS = {
    "line": (lambda framing: framing.LineFramer(LIMIT), b"x" * 11, b"x" * 10 + b"\r"),
    "delimiter": (lambda framing: framing.DelimiterFramer(b"::", LIMIT), b"x" * 12, b"x" * 10 + b":"),
    "length": (lambda framing: framing.LengthPrefixFramer(4, "big", LIMIT), b"\0\0\0\x0b", b"\0\0\0\x0a"),
    "netstring": (lambda framing: framing.NetstringFramer(LIMIT), b"11", b"10:"),
    "netstring of none": (lambda framing: framing.NetstringFramer(LIMIT), b":", b"0:"),
}


@pytest.fixture(params=FRAMERS)
def case(request, core):
    make, broken, fine = FRAMERS[request.param]
    return make(core.framing), broken, fine


def test_a_limit_holds_while_the_message_is_incomplete(core, case):
    framer, broken, _ = case
    framer.feed(broken)
    with pytest.raises(core.FramingError):
        framer.next_message()


def test_what_is_within_the_limit_is_waited_for(case):
    framer, _, fine = case
    framer.feed(fine)
    assert framer.next_message() is None
    assert framer.pending == len(fine)


def test_a_framer_that_failed_stays_failed(core, case):
    framer, broken, _ = case
    framer.feed(broken)
    for _ in range(3):
        with pytest.raises(core.FramingError) as first:
            framer.next_message()
        with pytest.raises(core.FramingError) as second:
            framer.feed(b"\n")
        assert first.value is second.value


def test_the_messages_before_the_failure_come_first(core, case):
    framer, broken, _ = case
    good = framer.frame(b"good")
    framer.feed(good + good + broken)
    assert framer.next_message() == b"good"
    assert framer.next_message() == b"good"
    with pytest.raises(core.FramingError):
        framer.next_message()


def test_a_message_at_the_limit_is_a_message_and_one_byte_more_is_refused(core, case):
    framer, _, _ = case
    framer.feed(framer.frame(b"x" * LIMIT))
    assert list(framer) == [b"x" * LIMIT]
    with pytest.raises(ValueError, match="over the limit"):
        framer.frame(b"x" * (LIMIT + 1))


@pytest.mark.parametrize("value", [0, -1, 1.5, None, "many"], ids=repr)
def test_a_limit_that_is_none_is_refused(core, value):
    with pytest.raises((ValueError, TypeError)):
        core.framing.LineFramer(value)
    with pytest.raises((ValueError, TypeError)):
        core.framing.FixedLengthFramer(value)


LIMITLESS = {
    "line": (lambda framing, limit: framing.LineFramer(limit), b"x"),
    "delimiter": (lambda framing, limit: framing.DelimiterFramer(b"::", limit), b"x"),
    "length": (lambda framing, limit: framing.LengthPrefixFramer(8, "big", limit), b"\x07" + 6 * b"\xff"),
    "netstring": (lambda framing, limit: framing.NetstringFramer(limit), b"500000000000000000:"),
}


@pytest.mark.parametrize("limit", [sys.maxsize, 1 << 70])
@pytest.mark.parametrize("kind", LIMITLESS)
def test_the_largest_limit_is_no_limit(core, kind, limit):
    make, start = LIMITLESS[kind]
    framer = make(core.framing, limit)
    framer.feed(start)
    assert framer.next_message() is None
    framer = make(core.framing, limit)
    framer.feed(framer.frame(b"one"))
    assert framer.next_message() == b"one"


def test_a_length_that_is_no_number_of_the_machine_is_too_long(core):
    framer = core.framing.NetstringFramer(sys.maxsize)
    framer.feed(b"9" * 40)
    with pytest.raises(core.FramingError, match="longer"):
        framer.next_message()


def test_memory_is_taken_for_what_came_and_not_for_what_was_announced(core, reactor, wires):
    class Endless(core.LengthPrefixedProtocol):
        width, max_length, calls = 8, sys.maxsize, ()

        def connection_lost(self, exc):
            self.calls = ("lost", exc)

    protocol, peer = wires.attach(Endless)
    for piece in (b"\x07" + 7 * b"\xff", b"some", b"more"):
        peer.send(piece)
        steps(reactor)
    assert protocol.calls == ()
    assert protocol.framer.pending == 16


def test_a_framer_takes_any_buffer_and_keeps_its_own_copy(core):
    framer = core.framing.LineFramer()
    data = bytearray(b"one")
    framer.feed(data)
    data[:] = b"xxx"
    framer.feed(memoryview(b"\ntwo\n"))
    assert list(framer) == [b"one", b"two"]
    assert framer.pending == 0


def test_what_was_taken_is_forgotten(core):
    framer = core.framing.LineFramer()
    framer.feed(b"one\ntwo")
    assert framer.next_message() == b"one"
    assert framer.take() == b"two"
    assert framer.pending == 0
    framer.feed(b"three\n")
    assert list(framer) == [b"three"]


def test_a_long_message_in_many_pieces_is_found_whole(core):
    """Bytes that almost end a message lie at every cut: a search that starts too late misses the end."""
    framer = core.framing.DelimiterFramer(b"--end\n", 1 << 20)
    message = b"--end-" * 10_000
    wire = framer.frame(message)
    for i in range(0, len(wire), 4097):
        assert framer.next_message() is None
        framer.feed(wire[i : i + 4097])
    assert framer.next_message() == message


def test_a_raw_block_is_the_next_message_whatever_is_in_it(core):
    framer = core.framing.LineFramer()
    framer.feed(b"one\ntwo\nthree\n")
    assert framer.next_message() == b"one"
    framer.expect_raw(6)
    assert framer.expects_raw
    assert framer.next_message() == b"two\nth"
    assert not framer.expects_raw
    assert framer.next_message() == b"ree"
    framer.expect_raw(2)
    framer.feed(b"\n")
    assert framer.next_message() is None
    framer.feed(b"\n\n")
    assert list(framer) == [b"\n\n", b""]


def test_a_raw_block_takes_back_what_was_searched(core):
    framer = core.framing.LineFramer()
    framer.feed(b"abc")
    assert framer.next_message() is None
    framer.expect_raw(2)
    framer.feed(b"\n")
    assert list(framer) == [b"ab", b"c"]


@pytest.mark.parametrize("count", [-1, LIMIT + 1, "1", 1.5, None], ids=repr)
def test_a_raw_block_has_a_size_within_the_limit(core, count):
    framer = core.framing.LineFramer(LIMIT)
    with pytest.raises((ValueError, TypeError)):
        framer.expect_raw(count)
    framer.feed(b"fine\n")
    assert framer.next_message() == b"fine"


def test_all_messages_at_once_then_the_failure(core, case):
    framer, broken, _ = case
    good = framer.frame(b"good")
    assert framer.next_messages() == []
    framer.feed(good + good + broken)
    assert framer.next_messages() == [b"good", b"good"]
    for _ in range(2):
        with pytest.raises(core.FramingError):
            framer.next_messages()


def test_the_default_stands_for_what_is_incomplete(core):
    framer = core.framing.LineFramer()
    framer.feed(b"abc")
    assert framer.next_message(framer) is framer


@pytest.mark.parametrize("message", [b":", b"x:", b"a::b", b"::"])
def test_a_delimiter_is_found_where_the_message_alone_does_not_have_it(core, message):
    framer = core.framing.DelimiterFramer(b":::")
    if message in (b"a::b",):
        framer.feed(framer.frame(message))
        assert list(framer) == [message]
    else:
        with pytest.raises(ValueError, match="delimiter"):
            framer.frame(message)
