"""RESP is the same on both cores, however the stream is cut, and the same as hiredis reads it."""

from __future__ import annotations

import math

import hiredis
import parser_kit
import pytest
from cores import CORES, load_core
from hypothesis import example, given
from hypothesis import strategies as st
from parser_kit import cut

# What RESP is made of, and what it almost is, in pieces that meet often.
TOKENS = [
    b"*2\r\n", b"*1\r\n", b"*0\r\n", b"*-1\r\n", b"*9\r\n", b"*03\r\n", b"*-2\r\n", b"*?\r\n", b"*+1\r\n",
    b"*1\n", b"$1\r\na\r\n", b"$0\r\n\r\n", b"$-1\r\n", b"$2\r\n\r\n\r\n", b"$3\r\nab", b"$99\r\n",
    b"$1\r\nab\r\n", b"$-0\r\n", b":1\r\n", b":-1\r\n", b":+7\r\n", b":\r\n", b":-\r\n",
    b":9223372036854775807\r\n", b":9223372036854775808\r\n", b":-9223372036854775808\r\n", b":007\r\n",
    b"+OK\r\n", b"+\xff\xc3\xa9\r\n", b"+a\rb\r\n", b"+a\n", b"-ERR no\r\n", b"_\r\n", b"_x\r\n", b"#t\r\n",
    b"#f\r\n", b"#T\r\n", b",1.5\r\n", b",-.5\r\n", b",5.\r\n", b",-\r\n", b",1e3\r\n", b",inf\r\n",
    b",-INF\r\n", b",1_0\r\n", b",.\r\n", b",1.2.3\r\n", b"(12345678901234567890\r\n", b"(-1\r\n",
    b"(x\r\n", b"!3\r\nbad\r\n", b"!-1\r\n", b"=5\r\ntxt:a\r\n", b"=3\r\ntxt\r\n", b"%1\r\n", b"%2\r\n",
    b"%0\r\n", b"%-1\r\n", b"~2\r\n", b"~1\r\n", b"~0\r\n", b">1\r\n", b">0\r\n", b"|1\r\n", b"|0\r\n",
    b"PING\r\n", b'SET "a\\x00b" \'c\'\n', b"'a\r\n", b'"a"b\r\n', b" \r\n", b"\n", b"\r\n", b"\xff", b"\0",
    b"x", b"1", b"$", b"*", b"\r", b"-",
]  # fmt: skip
streams = st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join)
cuts = st.lists(st.integers(0, 10_000), max_size=8)
parsers = pytest.mark.parametrize("kind", ["CommandParser", "ReplyParser"])
LIMITS = {"max_length": 60, "max_elements": 8}


def make(core, kind, **limits):
    return getattr(load_core(core).resp, kind)(**limits)


def comparable(value):
    """A value whose comparison is not fooled by 1 == True == 1.0, by nan, nor by the cores' own classes."""
    if isinstance(value, float):
        return "float", repr(value)
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [comparable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(map(repr, map(comparable, value)))
    if isinstance(value, dict):
        return "dict", [(comparable(key), comparable(item)) for key, item in value.items()]
    return type(value).__name__, repr(value), *getattr(value, "__dict__", {}).values()


def messages(parser, pieces):
    """See the kit; each message with the attributes that came with it."""

    def told(message):
        return comparable(message), comparable(getattr(parser, "attributes", None))

    return parser_kit.messages(parser, pieces, told)


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


@parsers
@given(data=streams, places=cuts)
@example(data=b"~3\r\n*1\r\n:1\r\n%1\r\n+a\r\n~1\r\n:1\r\n~0\r\n", places=[])
@example(data=b"%1\r\n%1\r\n*0\r\n|1\r\n*1\r\n:1\r\n:2\r\n*0\r\n+value\r\n", places=[])
@example(data=b"*1\r\n$3\r\nx\r\n\r\n", places=[])
def test_any_stream_any_cut_any_core(kind, data, places):
    for limits in ({}, LIMITS):
        expected = messages(make("pure", kind, **limits), [data])
        for core in CORES:
            for pieces in ([data], bytewise(data), cut(data, places)):
                assert messages(make(core, kind, **limits), pieces) == expected


@parsers
@given(first=st.sampled_from(b"*$:+,(!=%~>|"), rest=st.binary(max_size=40))
def test_noise(kind, first, rest):
    data = bytes([first]) + rest.translate(NEARLY)
    expected = messages(make("pure", kind, **LIMITS), [data])
    for core in CORES:
        assert messages(make(core, kind, **LIMITS), bytewise(data)) == expected


# Noise of the bytes that matter.
NEARLY = bytes(b"*$:+-0123456789\r\n?a\r\n"[i % 21] for i in range(256))


# --- against hiredis ---


def as_hiredis(value):
    """What ReplyParser gives, as hiredis gives it: bytes for text, lists for sets, no classes of replies."""
    kind = type(value).__name__
    if kind == "ReplyError":
        return "error", str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if type(value) is int and abs(value) >> 63:
        return str(value).encode()
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [as_hiredis(item) for item in value]
    if isinstance(value, dict):
        return [[as_hiredis(key), as_hiredis(item)] for key, item in value.items()]
    return bytes(value) if isinstance(value, bytes) else value


NOT_YET = object()


def read_by_hiredis(wire):
    reader = hiredis.Reader(notEnoughData=NOT_YET)
    reader.feed(wire)
    return list(iter(reader.gets, NOT_YET))


scalars = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=20),
    st.floats(allow_nan=False),
    st.text(max_size=10).filter(lambda text: not {"\r", "\n"} & {*text}),
    st.booleans(),
)
keys = st.one_of(st.binary(max_size=5), st.integers(2, 1000))
replies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@given(value=replies, places=cuts)
def test_replies_are_read_as_hiredis_reads_them(value, places):
    for core in CORES:
        wire = load_core(core).resp.encode_reply(value, 3)
        [theirs] = read_by_hiredis(wire)
        parser = make(core, "ReplyParser")
        ours = []
        for piece in cut(wire, places):
            parser.feed(piece)
            ours += parser
        assert [as_hiredis(reply) for reply in ours] == [as_hiredis(theirs)]


@given(data=streams)
def test_what_both_take_is_the_same(data):
    """Of a wild stream as much as both take: each refuses what the other does not mind."""
    reader = hiredis.Reader(notEnoughData=NOT_YET)
    reader.feed(data)
    ours = make("pure", "ReplyParser")
    ours.feed(data)
    for _ in range(len(data)):
        try:
            theirs, mine = reader.gets(), ours.next_message(NOT_YET)
        except (hiredis.ProtocolError, TypeError, ValueError):
            return
        if NOT_YET in (theirs, mine) or {*b"|~("} & {*data}:  # which hiredis reads otherwise
            return
        assert as_hiredis(mine) == as_hiredis(theirs)


# --- what is sent ---

values = st.recursive(
    scalars | st.integers() | st.just(math.nan),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(keys, inner, max_size=5)
    | st.sets(keys, max_size=5)
    | st.tuples(inner, inner),
    max_leaves=20,
)


@given(value=values)
def test_both_cores_encode_the_same(value):
    for version in (2, 3):
        assert len({load_core(core).resp.encode_reply(value, version) for core in CORES}) == 1
    twice = {load_core(core).resp.encode_replies([value, value], 3) for core in CORES}
    assert twice == {load_core(CORES[0]).resp.encode_reply(value, 3) * 2}


@given(value=values, places=cuts)
def test_what_is_encoded_comes_out_again(value, places):
    for core in CORES:
        wire = load_core(core).resp.encode_reply(value, 3)
        found, pending = messages(make(core, "ReplyParser"), cut(wire, places))
        assert (len(found), pending) == (1, 0)
        assert found[0][0] == comparable(lists(value))


def lists(value):
    """Tuples come back as lists."""
    if isinstance(value, (list, tuple)):
        return [lists(item) for item in value]
    if isinstance(value, dict):
        return {key: lists(item) for key, item in value.items()}
    return value


@given(words=st.lists(st.binary(max_size=30) | st.integers() | st.text(max_size=10), min_size=1), places=cuts)
def test_commands_come_out_again(words, places):
    expected = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    for core in CORES:
        wire = load_core(core).resp.encode_command(*words)
        assert wire == hiredis.pack_command(tuple(words))
        found, pending = messages(make(core, "CommandParser"), cut(wire * 2, places))
        assert (found, pending) == ([(comparable(expected), comparable(None))] * 2, 0)


@given(line=st.text("ab \"'\\xn0\t\r", max_size=12), core=st.sampled_from(CORES))
def test_inline_words_that_are_quoted_come_out_again(line, core):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
    parser = make(core, "CommandParser")
    parser.feed(f'ECHO "{escaped}" \'\'\n'.encode())
    assert parser.next_message() == [b"ECHO", line.encode(), b""]
