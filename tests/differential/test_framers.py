"""Framers find the same messages on both cores, however the stream is cut."""

from __future__ import annotations

import pytest
from cores import CORES, load_core
from hypothesis import given
from hypothesis import strategies as st
from parser_kit import cut, messages

# Short limits and few bytes, so that limits, marks and lengths meet often.
FRAMERS = {
    "line": ("LineFramer", {"max_length": 6}),
    "delimiter": ("DelimiterFramer", {"delimiter": b"ab", "max_length": 6}),
    "delimiter that overlaps itself": ("DelimiterFramer", {"delimiter": b"aab", "max_length": 6}),
    "length 1": ("LengthPrefixFramer", {"width": 1, "max_length": 6}),
    "length 2 big": ("LengthPrefixFramer", {"width": 2, "byteorder": "big", "max_length": 300}),
    "length 4 little": ("LengthPrefixFramer", {"width": 4, "byteorder": "little", "max_length": 6}),
    "length 8 big": ("LengthPrefixFramer", {"width": 8, "byteorder": "big", "max_length": 6}),
    "fixed": ("FixedLengthFramer", {"size": 3}),
    "netstring": ("NetstringFramer", {"max_length": 12}),
}

kinds = pytest.mark.parametrize("kind", FRAMERS)
wild = st.lists(st.sampled_from([bytes([byte]) for byte in b"ab\n\r\0\1\x03301:,"]))


def make(core, kind):
    name, options = FRAMERS[kind]
    return getattr(load_core(core).framing, name)(**options)


@kinds
@given(parts=wild, places=st.lists(st.integers(0, 10_000), max_size=8))
def test_any_stream_any_cut_any_core(kind, parts, places):
    data = b"".join(parts)
    expected = messages(make("pure", kind), [data])
    for core in CORES:
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))], cut(data, places)):
            assert messages(make(core, kind), pieces) == expected


steps = st.lists(st.one_of(st.sampled_from([b"a", b"ab", b"\n", b"\0\3", b"1:"]), st.integers(0, 4)))


@kinds
@given(script=steps)
def test_raw_blocks_anywhere(kind, script):
    """A script of bytes to feed and of raw blocks to ask for; a message is asked for after each."""

    def play(core):
        framer, trace = make(core, kind), []
        for step in script:
            try:
                if isinstance(step, bytes):
                    framer.feed(step)
                else:
                    framer.expect_raw(step)
                trace.append((framer.next_message(), framer.expects_raw, framer.pending))
            except ValueError as exc:
                trace.append(str(exc))
        return trace

    expected = play("pure")
    for core in CORES:
        assert play(core) == expected


def sendable(kind):
    if kind == "fixed":
        return st.binary(min_size=3, max_size=3)
    return st.text("abc\r\0 5", max_size=6).map(str.encode)


@kinds
@given(data=st.data())
def test_what_is_framed_comes_out_again(kind, data):
    sent = []
    wire = b""
    for message in data.draw(st.lists(sendable(kind))):
        try:
            framed = {make(core, kind).frame(message) for core in CORES}
        except ValueError as exc:
            for core in CORES:
                with pytest.raises(ValueError, match=str(exc)[:20]):
                    make(core, kind).frame(message)
            continue
        assert len(framed) == 1
        sent.append(message)
        wire += framed.pop()
    places = data.draw(st.lists(st.integers(0, 10_000), max_size=8))
    for core in CORES:
        assert messages(make(core, kind), cut(wire, places)) == (sent, 0)


@given(size=st.integers(1, 300_000), pieces=st.integers(1, 300))
def test_large_messages(size, pieces):
    body = bytes(i & 0xFF | 1 for i in range(size)).replace(b"\n", b"x").replace(b"\r", b"y")
    for core in CORES:
        framing = load_core(core).framing
        for framer in (framing.LineFramer(300_000), framing.LengthPrefixFramer(4, "big", 300_000)):
            wire = framer.frame(body) * 2 + framer.frame(body[:10])
            places = range(0, len(wire), len(wire) // pieces + 1)
            assert messages(framer, cut(wire, places)) == ([body, body, body[:10]], 0)
