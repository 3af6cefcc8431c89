"""HTTP parsers on a stream: limits that hold early, responses, the end of the stream, handing over."""

from __future__ import annotations

import pytest
from http_kit import parsed, single_bytes

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
LIMITS = {"max_line": 40, "max_head": 100, "max_headers": 3, "max_body": 10}


def ending(core, data, kind="RequestParser", **options):
    """How many messages are found, and how it ends: a status, or the bytes that wait; at any cut the same."""
    endings = set()
    for pieces in ([data], single_bytes(data)):
        found, last = parsed(getattr(core.http, kind)(**options), pieces)
        whole = sum(not isinstance(item, (bytes, tuple)) for item in found)
        endings.add((whole, f"status {last[0]}" if isinstance(last[1], str) else last[0]))
    assert len(endings) == 1
    return endings.pop()


# --- limits ---

# What is within a limit and waited for, or whole, and what is over it while it is incomplete.
AT_THE_LIMIT = {
    "the request line": (b"GET /" + b"a" * 35 + b"\r", b"GET /" + b"a" * 36, 414),
    "a line": (HEAD + b"X: " + b"a" * 37 + b"\r", HEAD + b"X: " + b"a" * 38, 431),
    "a whole line": (HEAD + b"X: " + b"a" * 37 + b"\r\n", HEAD + b"X: " + b"a" * 38 + b"\r\n", 431),
    "a head": (
        HEAD + b"X: " + b"a" * 34 + b"\r\nY: " + b"a" * 31,
        HEAD + b"X: " + b"a" * 34 + b"\r\nY: " + b"a" * 37,
        431,
    ),
    "fields": (HEAD + b"A:\r\nB:\r\n", HEAD + b"A:\r\nB:\r\nC:\r\n", 431),
    "a line before a chunk": (CHUNKED + b"1;" + b"a" * 38 + b"\r", CHUNKED + b"1;" + b"a" * 39, 400),
    "all extensions": (
        CHUNKED + b"1;" + b"a" * 19 + b"\r\nb\r\n1;" + b"a" * 19 + b"\r\n",
        CHUNKED + b"1;" + b"a" * 19 + b"\r\nb\r\n1;" + b"a" * 20 + b"\r\n",
        400,
    ),
    "a body": (POST[:-5] + b"10\r\n\r\n", POST[:-5] + b"11\r\n\r\n", 413),
    "chunks": (CHUNKED + b"8\r\n12345678\r\n2\r\n", CHUNKED + b"8\r\n12345678\r\n3\r\n", 413),
    "trailers": (CHUNKED + b"0\r\nA:\r\nB:\r\nC:\r\n", CHUNKED + b"0\r\nA:\r\nB:\r\nC:\r\nD:\r\n", 431),
    "a trailer": (CHUNKED + b"0\r\nA:" + b"a" * 38 + b"\r", CHUNKED + b"0\r\nA:" + b"a" * 39, 431),
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_limits_hold_while_a_message_is_incomplete(core, name, streaming):
    fine, over, status = AT_THE_LIMIT[name]
    assert not str(ending(core, fine, streaming=streaming, **LIMITS)[1]).startswith("status")
    assert ending(core, over, streaming=streaming, **LIMITS)[1] == f"status {status}"


def test_a_head_of_just_so_many_bytes(core):
    data = HEAD + b"X: " + b"a" * 34 + b"\r\nY: " + b"a" * 29 + b"\r\n\r\n"
    assert len(data) == LIMITS["max_head"]
    assert ending(core, data, **LIMITS) == (1, 0)
    assert ending(core, data.replace(b"Y: ", b"Y:  "), **LIMITS) == (0, "status 431")


def test_an_endless_body_has_its_limit(core):
    data = OK + b"\r\n" + b"x" * 11
    assert ending(core, data, "ResponseParser", max_body=10) == (0, "status 413")
    assert ending(core, data[:-1], "ResponseParser", max_body=10) == (0, 10)
    assert ending(core, data, "ResponseParser", streaming=True, max_body=10) == (1, "status 413")


def test_a_response_without_a_body_may_say_any_length(core):
    parser = core.http.ResponseParser(max_body=10)
    parser.expect("HEAD")
    parser.feed(OK + b"Content-Length: 999999999999999999\r\n\r\n")
    assert parser.next_message().content_length == 999_999_999_999_999_999


@pytest.mark.parametrize("name", ["max_line", "max_head", "max_headers", "max_body"])
@pytest.mark.parametrize("value", [-1, 1.5, None, "many", 2**63], ids=repr)
def test_a_limit_that_is_none_is_refused(core, name, value):
    for kind in (core.http.RequestParser, core.http.ResponseParser):
        with pytest.raises(ValueError, match=name):
            kind(**{name: value})


def test_limits_can_be_read(core):
    parser = core.http.RequestParser(**LIMITS)
    assert {name: getattr(parser, name) for name in LIMITS} == LIMITS
    assert parser.streaming is False


def test_a_long_line_in_many_pieces(core):
    parser = core.http.RequestParser(max_line=1 << 20, max_head=1 << 21)
    parser.feed(HEAD + b"X: ")
    for _ in range(200):
        parser.feed(b"a" * 5000)
        assert parser.next_message() is None
    parser.feed(b"\r\n\r\n")
    assert parser.next_message().headers.get("x") == b"a" * 1_000_000


def test_a_large_body_in_many_pieces(core):
    for head, tail in ((POST[:-5] + b"1000000\r\n\r\n", b""), (CHUNKED + b"f4240\r\n", b"\r\n0\r\n\r\n")):
        parser = core.http.RequestParser()
        parser.feed(head)
        for i in range(200):
            parser.feed(bytes([i]) * 5000)
            assert tail or i == 199 or parser.next_message() is None
        parser.feed(tail)
        assert parser.next_message().body == b"".join(bytes([i]) * 5000 for i in range(200))


# --- responses ---


def response(core, data, method="GET"):
    parser = core.http.ResponseParser()
    parser.expect(method)
    parser.feed(data)
    return parser.next_message()


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [(b"HTTP/1.1 200 OK", 200, b"OK"), (b"HTTP/1.1 299 Not \t \xff", 299, b"Not \t \xff"),
     (b"HTTP/1.1 404 ", 404, b""), (b"HTTP/1.1 404", 404, b""), (b"HTTP/1.0 999 x", 999, b"x")],
)  # fmt: skip
def test_a_status_line(core, line, status, reason):
    message = response(core, line + b"\r\nContent-Length: 0\r\n\r\n")
    assert (message.status, message.reason, message.version[0]) == (status, reason, 1)
    assert message.content_length == 0


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("CONNECT", 200), ("POST", 304)],
)
@pytest.mark.parametrize("field", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_responses_without_a_body(core, method, status, field):
    message = response(core, b"HTTP/1.1 %d x\r\n%s\r\n" % (status, field), method)
    assert message.body == b""
    assert message.chunked is field.startswith(b"T")
    assert message.keep_alive


def test_a_refused_connect_has_a_body(core):
    assert response(core, b"HTTP/1.1 403 x\r\nContent-Length: 2\r\n\r\nno", "CONNECT").body == b"no"


def test_interim_responses_answer_no_request(core):
    parser = core.http.ResponseParser()
    parser.expect("HEAD")
    parser.expect("GET")
    parser.feed(b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n")
    parser.feed((OK + b"Content-Length: 2\r\n\r\n") * 2 + b"ab")
    assert [(message.status, message.body) for message in parser] == [
        (100, b""),
        (103, b""),
        (200, b""),
        (200, b"ab"),
    ]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_body_until_the_end_of_the_connection(core, streaming):
    parser = core.http.ResponseParser(streaming=streaming)
    parser.feed(OK + b"\r\nabc")
    found = list(parser)
    parser.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    found += parser
    parser.feed_eof()
    found += parser
    head, *rest = found
    assert not head.keep_alive
    if streaming:
        assert rest[:-1] == [b"abc", b"HTTP/1.1 200 OK\r\n\r\n"]
        assert type(rest[-1]) is core.http.End
    else:
        assert head.body == b"abcHTTP/1.1 200 OK\r\n\r\n"
        assert rest == []


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r", OK, OK + b"Content-Length: 3\r\n\r\nab", OK + b"Content-Length: 3\r\n\r\n",
     OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc"],
)  # fmt: skip
@pytest.mark.parametrize("streaming", [False, True])
def test_an_end_in_the_middle_is_told(core, data, streaming):
    parser = core.http.ResponseParser(streaming=streaming)
    parser.feed(OK + b"Content-Length: 1\r\n\r\nx" + data)
    parser.feed_eof()
    with pytest.raises(core.http.HTTPError, match="in the middle"):
        for message in parser:
            assert message is not None
    with pytest.raises(core.http.HTTPError, match="in the middle"):
        parser.feed_eof()


def test_an_end_between_messages_is_fine(core):
    parser = core.http.RequestParser()
    parser.feed(HEAD + b"\r\n")
    parser.feed_eof()
    assert len(list(parser)) == 1
    assert parser.next_message() is None


# --- holding and handing over ---


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "head",
    [b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", HEAD + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"],
)
def test_a_request_that_hands_over(core, head, streaming):
    parser = core.http.RequestParser(streaming=streaming)
    parser.feed(head + b"\0not HTTP")
    assert len(list(parser)) == 1 + streaming
    assert parser.held is True
    parser.feed(b"\r\n\r\n")
    assert parser.next_message() is None
    assert parser.pending == 13
    assert parser.take() == b"\0not HTTP\r\n\r\n"
    assert parser.pending == 0


def test_an_upgrade_that_is_not_taken(core):
    parser = core.http.RequestParser()
    parser.feed((HEAD + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n") * 2)
    assert parser.next_message().upgrade == "x"
    assert parser.next_message() is None
    parser.held = False
    assert parser.next_message().upgrade == "x"


def test_the_body_of_an_upgrade_comes_first(core):
    parser = core.http.RequestParser(streaming=True)
    parser.feed(HEAD + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabcdef")
    _, body, _ = parser
    assert body == b"abc"
    assert parser.take() == b"def"


@pytest.mark.parametrize(
    ("method", "head"),
    [("GET", b"HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n"), ("CONNECT", OK + b"\r\n")],
)
def test_a_response_that_hands_over(core, method, head):
    parser = core.http.ResponseParser()
    parser.expect(method)
    parser.feed(head + b"abc")
    assert parser.next_message().upgrade == ("y" if method == "GET" else None)
    assert parser.held
    parser.feed_eof()
    assert parser.take() == b"abc"


def test_held_by_hand(core):
    parser = core.http.RequestParser()
    parser.held = True
    parser.feed(HEAD + b"\r\n")
    assert list(parser) == []
    assert parser.pending == len(HEAD) + 2
    parser.held = False
    assert len(list(parser)) == 1


def test_a_parser_only_reads(core):
    parser = core.http.RequestParser()
    with pytest.raises(TypeError):
        parser.expect_raw(3)
    for write in (parser.frame, parser.send, parser.edges):
        with pytest.raises(TypeError, match="cannot frame"):
            write(b"x")


def test_what_was_taken_is_forgotten(core):
    parser = core.http.RequestParser()
    parser.feed(HEAD + b"Content-Le")
    assert parser.next_message() is None
    assert parser.take() == HEAD + b"Content-Le"
    parser.feed(POST + b"abc")
    assert parser.next_message().body == b"abc"


# --- 100 (Continue) ---


def test_who_waits_for_100_continue_is_told(core):
    parser = core.http.RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n")
    assert parser.next_message() is None
    assert parser.awaits_continue is None
    parser.feed(b"\r\n")
    assert parser.next_message() is None
    waiting = parser.awaits_continue
    assert waiting.expects_continue
    parser.feed(b"a")
    assert parser.next_message() is None
    assert parser.awaits_continue is None
    parser.feed(b"bc")
    assert parser.next_message() is waiting
    assert waiting.body == b"abc"


def test_who_sends_the_body_at_once_does_not_wait(core):
    parser = core.http.RequestParser()
    parser.feed(CHUNKED.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert parser.next_message() is None
    assert parser.awaits_continue.chunked
    parser.feed(b"1")
    assert parser.next_message() is None
    assert parser.awaits_continue is None
