"""RESP without I/O: what becomes what, Redis' errors, limits that hold early, nothing parsed twice."""

from __future__ import annotations

import gc
import math
import sys

import pytest
from cores import CORES, load_core

try:
    import tracemalloc
except ImportError:  # PyPy does not count memory
    tracemalloc = None


@pytest.fixture
def resp(core):
    return core.resp


def read(parser, *pieces):
    for piece in pieces:
        parser.feed(piece)
    return list(parser)


# --- commands ---


@pytest.mark.parametrize(
    ("wire", "commands"),
    [
        (b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", [[b"GET", b"key"]]),
        (b"*1\r\n$0\r\n\r\n", [[b""]]),
        (b"*1\r\n$2\r\n\r\n\r\n", [[b"\r\n"]]),
        (b"PING\r\n", [[b"PING"]]),
        (b"  SET  key\tvalue \n", [[b"SET", b"key", b"value"]]),
        (b'SET key "a \\"b\\" \\x41\\n\\q"\r\n', [[b"SET", b"key", b'a "b" A\nq']]),
        (b"SET key 'it\\'s \\n'\r\n", [[b"SET", b"key", b"it's \\n"]]),
        (b"SET '' pre\"fix\"\r\n", [[b"SET", b"", b"prefix"]]),
        (b"\r\n\n*0\r\n*-1\r\n  \r\nPING\r\n", [[b"PING"]]),
        (b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", [[b"PING"], [b"PING"], [b"QUIT"]]),
    ],
    ids=repr,
)
def test_commands(resp, wire, commands):
    parser = resp.CommandParser()
    assert read(parser, wire) == commands
    assert parser.pending == 0


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n\n", "expected '$', got byte 10"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 40, "too big mbulk count string"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$03\r\n", "invalid bulk length"),
        (b"*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        (b"*1\r\n$18446744073709551617\r\n", "invalid bulk length"),
        (b"*1\r\n$536870912\r\n", "invalid bulk length"),
        (b"*1\r\n$" + b"1" * 40, "too big bulk count string"),
        (b"*1\r\n$1\r\nabc", "bulk string without CRLF at its end"),
        (b'SET "key\r\n', "unbalanced quotes in request"),
        (b"SET 'key'x\r\n", "unbalanced quotes in request"),
        (b"x" * 65536, "too big inline request"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_no_command_is_told_as_redis_tells_it(core, wire, error):
    parser = core.resp.CommandParser()
    parser.feed(b"PING\r\n" + wire)
    assert parser.next_message() == [b"PING"]
    for _ in range(2):
        with pytest.raises(core.resp.RESPError) as failed:
            parser.next_message()
        assert str(failed.value) == f"Protocol error: {error}"
        assert isinstance(failed.value, core.FramingError)
    with pytest.raises(core.resp.RESPError):
        parser.feed(b"PING\r\n")


# --- replies ---


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"+OK\r\n", "OK"),
        (b"+\xc3\xa9\xff\r\n", "é\udcff"),
        (b":-42\r\n", -42),
        (b":+42\r\n", 42),
        (b":-9223372036854775808\r\n", -(1 << 63)),
        (b"$5\r\nhello\r\n", b"hello"),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"_\r\n", None),
        (b"*0\r\n", []),
        (b"*2\r\n:1\r\n*1\r\n$-1\r\n", [1, [None]]),
        (b"#t\r\n", True),
        (b"#f\r\n", False),
        (b",3.14\r\n", 3.14),
        (b",-10\r\n", -10.0),
        (b",1e+16\r\n", 1e16),
        (b",3.1415926535897931\r\n", math.pi),
        (b",-inf\r\n", -math.inf),
        (b"(12345678901234567890123\r\n", 12345678901234567890123),
        (b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*0\r\n", {"a": 1, b"b": []}),
        (b"~2\r\n:1\r\n+x\r\n", {1, "x"}),
        (b"%1\r\n*2\r\n:1\r\n%1\r\n+k\r\n*0\r\n:2\r\n", {(1, (("k", ()),)): 2}),
        (b"~2\r\n*1\r\n:1\r\n~1\r\n:1\r\n", {(1,), frozenset({1})}),
        (b"*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n", [1, 2]),
    ],
    ids=repr,
)
def test_replies(resp, wire, reply):
    parser = resp.ReplyParser()
    [found] = read(parser, wire)
    assert found == reply
    assert type(found) is type(reply)
    assert parser.attributes is None


def test_replies_that_have_types_of_their_own(resp):
    parser = resp.ReplyParser()
    wire = b"-WRONGTYPE no\r\n!7\r\nERR a\r\n\r\n>2\r\n+message\r\n$1\r\nx\r\n=5\r\nmkd:x\r\n,nan\r\n"
    wrong, multiline, push, text, nan = read(parser, wire)
    assert (type(wrong), str(wrong), wrong.code) == (resp.ReplyError, "WRONGTYPE no", "WRONGTYPE")
    assert multiline == resp.ReplyError("ERR a\r\n")
    assert (type(push), push) == (resp.Push, ["message", b"x"])
    assert (type(text), text, text.format) == (resp.Verbatim, b"x", "mkd")
    assert math.isnan(nan)


def test_none_is_a_message(resp):
    parser = resp.ReplyParser()
    nothing = object()
    parser.feed(b"$-1\r\n_\r\n$")
    assert [parser.next_message(nothing) for _ in range(3)] == [None, None, nothing]


def test_attributes_are_those_of_the_last_reply(resp):
    parser = resp.ReplyParser()
    parser.feed(b"|1\r\n+popularity\r\n,0.5\r\n:1\r\n:2\r\n")
    assert next(parser) == 1
    assert parser.attributes == {"popularity": 0.5}
    assert next(parser) == 2
    assert parser.attributes is None


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (b"?\r\n", "unknown type '?'"),
        (b"\xff", "unknown type byte 255"),
        (b"+a\n", "line without CRLF at its end"),
        (b"+a\rb\r\n", "line without CRLF at its end"),
        (b"+\n", "line without CRLF at its end"),
        (b":\r\n", "invalid integer"),
        (b":1a\r\n", "invalid integer"),
        (b":9223372036854775808\r\n", "invalid integer"),
        (b":" + b"0" * 40, "too big line"),
        (b",1_0\r\n", "invalid double"),
        (b",.\r\n", "invalid double"),
        (b"#true\r\n", "invalid boolean"),
        (b"_null\r\n", "invalid null"),
        (b"(1.5\r\n", "invalid big number"),
        (b"(" + b"1" * 4301 + b"\r\n", "invalid big number"),
        (b"$-2\r\n", "invalid bulk length"),
        (b"$-0\r\n\r\n", "invalid bulk length"),
        (b"$1\r\nab\r\n", "bulk string without CRLF at its end"),
        (b"!-1\r\n", "invalid bulk length"),
        (b"=3\r\ntxt\r\n", "verbatim string without a format"),
        (b"*-2\r\n", "invalid multibulk length"),
        (b"%-1\r\n", "invalid multibulk length"),
        (b"%600000\r\n", "invalid multibulk length"),
        (b"*1000000\r\n*1000000\r\n", "invalid multibulk length"),
        (b"*1\r\n>0\r\n", "push inside of a reply"),
        (b"*1\r\n" * 65, "nested deeper than 64"),
        (b"$?\r\n", "streamed types are not supported"),
        (b"*?\r\n", "streamed types are not supported"),
        (b"+" + b"x" * 65536, "too big line"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_no_reply(core, wire, error):
    parser = core.resp.ReplyParser()
    parser.feed(b"+OK\r\n" + wire)
    assert parser.next_message() == "OK"
    with pytest.raises(core.resp.RESPError) as failed:
        parser.next_message()
    assert str(failed.value) == f"Protocol error: {error}"


# --- limits, and nothing twice ---


def test_a_message_at_the_limit_is_a_message(core):
    wire = b"*2\r\n$1\r\na\r\n:12\r\n"
    assert read(core.resp.ReplyParser(len(wire), 2), wire) == [[b"a", 12]]
    for limits, error in ((len(wire) - 1, 2), "longer than 15"), ((len(wire), 1), "multibulk length"):
        parser = core.resp.ReplyParser(*limits)
        parser.feed(wire)
        with pytest.raises(core.resp.RESPError, match=error):
            parser.next_message()


def test_a_bulk_string_that_would_be_over_the_limit_is_refused_when_it_is_announced(core):
    parser = core.resp.CommandParser(100)
    parser.feed(b"*2\r\n$3\r\nSET\r\n$85\r\n")
    with pytest.raises(core.resp.RESPError, match="invalid bulk length"):
        parser.next_message()


@pytest.mark.parametrize("limits", [(0,), (-1,), (1.5,), ("many",), (10, 0), (10, None)], ids=repr)
def test_limits_that_are_none(resp, limits):
    for parser in (resp.CommandParser, resp.ReplyParser):
        with pytest.raises(ValueError, match="positive"):
            parser(*limits)


if tracemalloc:

    def test_what_is_announced_costs_nothing_before_it_comes(resp):
        deep = b"*100000\r\n" * 10 + b"$1\r\na"
        for wire in (b"*1048576\r\n$1\r\na\r\n", b"*1048576\r\n$16000000\r\n", deep):
            for make in (resp.CommandParser, resp.ReplyParser):
                tracemalloc.start()
                parser = make()
                parser.feed(wire)
                try:
                    assert parser.next_message() is None
                except resp.RESPError:
                    pass
                held = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert held < 50_000


@pytest.mark.parametrize("kind", ["CommandParser", "ReplyParser"])
def test_a_large_array_in_many_pieces(resp, kind):
    words = [b"%d" % number for number in range(100_000)]
    wire = resp.encode_command(*words)
    parser = getattr(resp, kind)()
    for i in range(0, len(wire), 100):
        assert parser.next_message() is None
        parser.feed(wire[i : i + 100])
    assert parser.next_message() == words


def test_a_large_string_in_many_pieces(resp):
    body = b"\r\n$1\r\nx" * 1_500_000
    wire = resp.encode_command("SET", "key", body)
    parser = resp.CommandParser()
    for i in range(0, len(wire), 1000):
        assert parser.next_message() is None
        parser.feed(wire[i : i + 1000])
    assert parser.next_message() == [b"SET", b"key", body]


def test_a_long_line_in_many_pieces(resp):
    line = "x" * 65_000
    parser = resp.ReplyParser()
    for byte in f"+{line}\r":
        assert parser.next_message() is None
        parser.feed(byte.encode())
    parser.feed(b"\n")
    assert parser.next_message() == line


# --- as a framer ---


def test_what_is_not_delivered_can_be_taken(resp):
    for make in (resp.CommandParser, resp.ReplyParser):
        parser = make()
        rest = b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1"
        parser.feed(b"*1\r\n$1\r\na\r\n" + rest)
        assert list(parser) == [[b"a"]]
        assert parser.pending == len(rest)
        assert parser.take() == rest
        assert parser.pending == 0
        assert read(parser, b"*1\r\n$1\r\nb\r\n") == [[b"b"]]


def test_raw_bytes_between_messages(resp):
    parser = resp.CommandParser()
    parser.feed(b"PING\r\n")
    assert next(parser) == [b"PING"]
    parser.expect_raw(5)
    assert read(parser, b"*1\r\n$PING\r\n") == [b"*1\r\n$", [b"PING"]]


def test_raw_bytes_in_the_middle_of_a_message_begin_at_its_start(resp):
    parser = resp.CommandParser()
    parser.feed(b"*2\r\n$1\r\na\r\n$")
    assert parser.next_message() is None
    parser.expect_raw(5)
    assert read(parser, b"1\r\n") == [b"*2\r\n$", [b"1"], [b"a"], [b"$1"]]


if "compiled" in CORES:  # whose bytes are C's

    def test_a_finalizer_that_runs_in_the_parser_cannot_move_its_bytes():
        """Making lists runs the garbage collector before Python 3.12, and that what programs hang on it."""
        parser = load_core("compiled").resp.ReplyParser()
        refused = []

        class Meddler:
            def __init__(self):
                self.me = self

            def __del__(self):
                try:
                    parser.feed(b"+" + b"x" * 100_000 + b"\r\n")
                except RuntimeError as exc:
                    refused.append(str(exc))

        parser.feed(b"*2\r\n*1\r\n:1\r\n*1\r\n:2\r\n" * 200)
        threshold = gc.get_threshold()
        gc.set_threshold(20, 1, 1)
        try:
            replies = []
            for _ in range(200):
                Meddler()
                replies.append(parser.next_message())
        finally:
            gc.set_threshold(*threshold)
        assert replies == [[[1], [2]]] * 200
        if sys.version_info < (3, 12):
            assert "finalizer" in refused[0]


# --- what is sent ---


@pytest.mark.parametrize(
    ("value", "second", "third"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (-5, b":-5\r\n", b":-5\r\n"),
        (-(1 << 63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
        (1 << 63, b"$19\r\n9223372036854775808\r\n", b"(9223372036854775808\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
        ("OK", b"+OK\r\n", b"+OK\r\n"),
        ("é", b"+\xc3\xa9\r\n", b"+\xc3\xa9\r\n"),
        (b"\r\n", b"$2\r\n\r\n\r\n", b"$2\r\n\r\n\r\n"),
        (bytearray(b"a"), b"$1\r\na\r\n", b"$1\r\na\r\n"),
        (memoryview(b"a"), b"$1\r\na\r\n", b"$1\r\na\r\n"),
        ([1, ("a", None)], b"*2\r\n:1\r\n*2\r\n+a\r\n$-1\r\n", b"*2\r\n:1\r\n*2\r\n+a\r\n_\r\n"),
        ({b"k": 1}, b"*2\r\n$1\r\nk\r\n:1\r\n", b"%1\r\n$1\r\nk\r\n:1\r\n"),
        ({1}, b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
        (frozenset(), b"*0\r\n", b"~0\r\n"),
        (ValueError("not\r\nan integer"), b"-ERR not  an integer\r\n", b"-ERR not  an integer\r\n"),
    ],
    ids=repr,
)
def test_values_as_replies(resp, value, second, third):
    assert resp.encode_reply(value) == second
    assert resp.encode_reply(value, 3) == third
    assert resp.encode_replies([value, 1], 3) == third + b":1\r\n"


def test_values_of_resp_as_replies(resp):
    assert resp.encode_reply(resp.ReplyError("WRONGTYPE no")) == b"-WRONGTYPE no\r\n"
    assert resp.encode_reply(resp.Push(["a"])) == b"*1\r\n+a\r\n"
    assert resp.encode_reply(resp.Push(["a"]), 3) == b">1\r\n+a\r\n"
    assert resp.encode_reply(resp.Verbatim(b"a", "mkd")) == b"$1\r\na\r\n"
    assert resp.encode_reply(resp.Verbatim(b"a", "mkd"), 3) == b"=5\r\nmkd:a\r\n"
    with pytest.raises(ValueError, match="three characters"):
        resp.Verbatim(b"a", "markdown")


def test_what_cannot_be_sent(resp):
    endless = []
    endless.append(endless)
    for value, error, text in (
        ("a\rb", ValueError, "CR or LF"),
        ("a\n", ValueError, "CR or LF"),
        (endless, ValueError, "nested deeper"),
        (object(), TypeError, "'object'"),
        ([1, 1j], TypeError, "'complex'"),
    ):
        with pytest.raises(error, match=text):
            resp.encode_reply(value)
        with pytest.raises(error, match=text):
            resp.encode_replies([value])
    for version in (0, 1, 4):
        with pytest.raises(ValueError, match="2 or 3"):
            resp.encode_reply(1, version)


def test_large_replies_of_many_parts(resp):
    value = [b"x" * size for size in (0, 500, 511, 512, 513, 70_000)] * 20
    wire = resp.encode_reply(value)
    assert wire == b"*120\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(item), item) for item in value)


def test_commands_as_sent(resp):
    assert resp.encode_command("SET", b"k", 5) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n5\r\n"
    assert resp.encode_command(memoryview(b"a"), 1.5) == b"*2\r\n$1\r\na\r\n$3\r\n1.5\r\n"
    assert resp.encode_commands([["A"], ("B",)]) == b"*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n"
    for words in ((None,), (True,), (["a"],)):
        with pytest.raises(TypeError, match="a word of a command"):
            resp.encode_command(*words)
    with pytest.raises(ValueError, match="one word"):
        resp.encode_command()
    with pytest.raises(TypeError, match="list or tuple"):
        resp.ReplyParser().frame("PING")
