"""The HTTP parsers: what each message says, where it ends, and what is refused, with which status."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import pytest
from http_kit import described, parsed, single_bytes

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def request(core, data, **options):
    """The only request in the data, and nothing left."""
    parser = core.http.RequestParser(**options)
    parser.feed(data)
    message = parser.next_message()
    assert parser.pending == 0
    return message


def response(core, data, method="GET", **options):
    parser = core.http.ResponseParser(**options)
    parser.expect(method)
    parser.feed(data)
    return parser.next_message()


def refusal(core, data, kind="RequestParser", **options):
    """The status with which the data is refused, whole and byte by byte."""
    statuses = set()
    for pieces in ([data], single_bytes(data)):
        _, ending = parsed(getattr(core.http, kind)(**options), pieces)
        statuses.add(ending[0] if isinstance(ending[1], str) else None)
    assert len(statuses) == 1
    return statuses.pop()


# --- what a request says ---


def test_a_request(core):
    message = request(core, b"GET /a%20b?c HTTP/1.1\r\nHost: example.com\r\nX:  y\tz \r\nEmpty:\r\n\r\n")
    assert described(message) == {
        "method": "GET", "target": "/a%20b?c", "version": (1, 1), "body": b"", "keep_alive": True,
        "headers": [(b"Host", b"example.com"), (b"X", b"y\tz"), (b"Empty", b"")], "trailers": [],
        "upgrade": None, "expects_continue": False, "content_length": None, "chunked": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "get", "!#$%&'*+-.^_`|~9"]
)
def test_any_token_is_a_method(core, method):
    assert request(core, f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()).method == method


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/"), ("GET", '/!"#$%&\'()*+,-./0:;<=>?@A[\\]^_`{|}~'), ("GET", "http://a/b"), ("OPTIONS", "*"),
     ("GET", "coap+tcp://a"), ("CONNECT", "a:443"), ("CONNECT", "[::1]:1")],
)  # fmt: skip
def test_forms_of_a_target(core, method, target):
    assert request(core, f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).target == target


@pytest.mark.parametrize("host", ["", "a", "example.com:8080", "[::1]:80", "a%20b", "1.2.3.4"])
def test_hosts(core, host):
    assert (
        request(core, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).headers.get("host") == host.encode()
    )


def test_an_old_request_needs_no_host(core):
    assert request(core, b"GET / HTTP/1.0\r\n\r\n").version == (1, 0)


def test_a_later_minor_version_is_read_as_1_1(core):
    assert request(core, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n").keep_alive


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [("1.1", "", True), ("1.1", "close", False), ("1.1", "x , Close", False), ("1.1", "closed", True),
     ("1.1", "keep-alive", True), ("1.1", "keep-alive, close", False), ("1.0", "", False),
     ("1.0", "Keep-Alive", True), ("1.0", "keep-alive,close", False), ("1.0", "close", False)],
)  # fmt: skip
def test_keep_alive(core, version, connection, keep_alive):
    data = f"GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n".encode()
    assert request(core, data).keep_alive is keep_alive
    data = f"HTTP/{version} 200 OK\r\nContent-Length: 0\r\nConnection: {connection}\r\n\r\n".encode()
    assert response(core, data).keep_alive is keep_alive


def test_several_connection_fields_are_one_list(core):
    assert not request(core, HEAD + b"Connection: x\r\nConnection: close\r\n\r\n").keep_alive


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [("Connection: upgrade\r\nUpgrade: websocket\r\n", "websocket"),
     ("Connection: keep-alive, Upgrade\r\nUpgrade: a/1\r\nUpgrade: b\r\n", "a/1, b"),
     ("Upgrade: websocket\r\n", None), ("Connection: upgrade\r\n", None)],
)  # fmt: skip
def test_upgrade_counts_where_connection_lists_it(core, fields, upgrade):
    assert request(core, HEAD + fields.encode() + b"\r\n").upgrade == upgrade


def test_upgrade_is_ignored_in_http_1_0(core):
    data = b"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: x\r\n\r\n"
    assert request(core, data).upgrade is None


@pytest.mark.parametrize(
    ("fields", "expects"),
    [
        ("Expect: 100-continue\r\nContent-Length: 3\r\n", True),
        ("Expect: 100-CONTINUE\r\nContent-Length: 1\r\n", True),
        ("Expect:  100-continue \r\nTransfer-Encoding: chunked\r\n", True),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", False),
        ("Expect: 100-continue\r\n", False),
    ],
)
def test_expects_continue(core, fields, expects):
    parser = core.http.RequestParser(streaming=True)
    parser.feed(POST + fields.encode() + b"\r\n")
    assert parser.next_message().expects_continue is expects


@pytest.mark.parametrize("expectation", ["200", "x, 100-continue", ""])
def test_another_expectation_is_refused_and_ignored_in_http_1_0(core, expectation):
    data = POST + f"Expect: {expectation}\r\nContent-Length: 3\r\n\r\nabc".encode()
    with pytest.raises(core.http.HTTPError) as caught:
        request(core, data)
    assert caught.value.status == 417
    assert not request(core, data.replace(b"HTTP/1.1", b"HTTP/1.0")).expects_continue


# --- headers ---


def test_headers_are_a_sequence_of_pairs(core):
    headers = request(core, HEAD + b"A: 1\r\na: 2\r\n\r\n").headers
    assert isinstance(headers, Sequence)
    assert len(headers) == 3
    assert headers[0] == (b"Host", b"a") == headers[-3]
    assert headers[1:] == [(b"A", b"1"), (b"a", b"2")]
    assert next(reversed(headers)) == (b"a", b"2")
    assert headers.index((b"A", b"1")) == 1
    assert headers.count((b"a", b"2")) == 1
    assert headers == list(headers) == core.http.Headers(headers)
    assert headers != [(b"Host", b"a")]
    assert repr(headers) == f"Headers({list(headers)!r})"
    for index in (3, -4):
        with pytest.raises(IndexError):
            headers[index]
    with pytest.raises(TypeError):
        hash(headers)


def test_looking_up_ignores_case(core):
    headers = request(core, HEAD + b"Set-Thing: 1\r\nsET-tHING: 2\r\n\r\n").headers
    for name in (b"set-thing", b"SET-THING", "Set-Thing"):
        assert headers.get(name) == b"1"
        assert headers.get_all(name) == [b"1", b"2"]
        assert name in headers
    for name in (b"set-thin", b"set-things", b"", "set-thing\u0130", "\udc80", b"set_thing"):
        assert headers.get(name, "none") == "none"
        assert headers.get_all(name) == []
        assert name not in headers
    with pytest.raises(TypeError):
        headers.get(3)


def test_headers_made_by_hand(core):
    headers = core.http.Headers([(b"A", b"x y"), (bytearray(b"b"), b"")])
    assert list(headers) == [(b"A", b"x y"), (b"b", b"")]
    assert list(core.http.Headers()) == []
    for name, value in [
        (b"", b""),
        (b"a b", b""),
        (b"a:", b""),
        (b"a", b"\r\n"),
        (b"a", b" x"),
        (b"a", b"\0"),
    ]:
        with pytest.raises(ValueError):
            core.http.Headers([(name, value)])


def test_many_headers(core):
    fields = b"".join(b"N%d: %d\r\n" % (i, i) for i in range(99))
    headers = request(core, HEAD + fields + b"\r\n").headers
    assert headers.get(b"n98") == b"98"
    assert headers[-1] == (b"N98", b"98")


def test_a_message_outlives_its_parser(core):
    message = request(core, HEAD + b"X: y\r\n\r\n")
    headers = message.headers
    del message
    gc.collect()
    assert headers.get("x") == b"y"


# --- bodies ---


@pytest.mark.parametrize(
    ("data", "body", "trailers"),
    [
        (POST + b"Content-Length: 5\r\n\r\nhello", b"hello", []),
        (POST + b"Content-Length: 005\r\n\r\nhello", b"hello", []),
        (POST + b"Content-Length: 0\r\n\r\n", b"", []),
        (POST + b"\r\n", b"", []),
        (CHUNKED + b"0\r\n\r\n", b"", []),
        (CHUNKED + b"3\r\nhel\r\n002;x=y\r\nlo\r\n0\r\n\r\n", b"hello", []),
        (CHUNKED + b"A\r\n0123456789\r\n0000\r\n\r\n", b"0123456789", []),
        (
            CHUNKED + b"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0;\r\nA: 1\r\nB:\r\n\r\n",
            b"\r\n" * 5,
            [(b"A", b"1"), (b"B", b"")],
        ),
    ],
)
def test_bodies(core, data, body, trailers):
    for pieces in ([data], single_bytes(data)):
        ([message], ending) = parsed(core.http.RequestParser(), pieces)
        assert (message["body"], message["trailers"], ending) == (body, trailers, (0, False))
        streamed, ending = parsed(core.http.RequestParser(streaming=True), pieces)
        assert streamed == [
            message | {"body": b"", "trailers": []},
            *([body] if body else []),
            ("End", trailers),
        ]


def test_pipelining(core):
    data = POST + b"Content-Length: 2\r\n\r\nab" + HEAD + b"\r\n" + CHUNKED + b"1\r\nc\r\n0\r\n\r\n" + HEAD
    found, ending = parsed(core.http.RequestParser(), [data])
    assert [message["body"] for message in found] == [b"ab", b"", b"c"]
    assert ending == (len(HEAD), False)


def test_a_piece_of_a_body_comes_as_it_was_read(core):
    parser = core.http.RequestParser(streaming=True)
    parser.feed(POST + b"Content-Length: 6\r\n\r\nabc")
    assert list(parser)[1:] == [b"abc"]
    parser.feed(b"d")
    assert list(parser) == [b"d"]
    parser.feed(b"ef")
    piece, end = parser
    assert piece == b"ef"
    assert type(end) is core.http.End


def test_an_empty_line_before_a_request_is_ignored_once(core):
    for cut_at in range(3):
        data = b"\r\n" + HEAD + b"\r\n"
        found, _ = parsed(core.http.RequestParser(), [data[:cut_at], data[cut_at:]])
        assert len(found) == 1
    assert refusal(core, b"\r\n\r\n" + HEAD + b"\r\n") == 400
    assert refusal(core, b"\n" + HEAD + b"\r\n") == 400
    assert refusal(core, b"\r\nHTTP/1.1 200 OK\r\n\r\n", "ResponseParser") == 400


@pytest.mark.parametrize("streaming", [False, True])
def test_after_the_last_request_nothing_counts(core, streaming):
    parser = core.http.RequestParser(streaming=streaming)
    parser.feed(HEAD + b"Connection: close\r\n\r\n" + HEAD + b"\r\n\0\0")
    assert len(list(parser)) == 1 + streaming
    parser.feed(b"\0" * 100)
    assert parser.next_message() is None
    assert parser.pending == 0
    parser.feed_eof()
    assert parser.next_message() is None


# --- what is refused ---

MALFORMED = {
    "no method": b" / HTTP/1.1\r\n",
    "a method that is no token": b"G@T / HTTP/1.1\r\n",
    "no target": b"GET HTTP/1.1\r\n",
    "an empty target": b"GET  HTTP/1.1\r\n",
    "two spaces before the target": b"GET  / HTTP/1.1\r\n",
    "two spaces before the version": b"GET /  HTTP/1.1\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n",
    "a target beyond ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n",
    "a control in the target": b"GET /\x7f HTTP/1.1\r\n",
    "no version": b"GET /\r\n",
    "a lower-case version": b"GET / http/1.1\r\n",
    "a version with two digits": b"GET / HTTP/1.10\r\n",
    "a version that ends in blanks": b"GET / HTTP/1.1 \r\n",
    "a bare LF after the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "a bare CR in the request line": b"GET / HTTP/1.1\r\r\n",
    "a relative target": b"GET a HTTP/1.1\r\n",
    "a URI without authority": b"GET http:/// HTTP/1.1\r\n",
    "an asterisk that is asked for": b"GET * HTTP/1.1\r\n",
    "CONNECT to a path": b"CONNECT / HTTP/1.1\r\n",
    "CONNECT without a port": b"CONNECT a: HTTP/1.1\r\n",
    "CONNECT to a port too large": b"CONNECT a:65536 HTTP/1.1\r\n",
    "CONNECT to port 0": b"CONNECT a:0 HTTP/1.1\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": HEAD + b"Host: a\r\n",
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n",
    "a list of Hosts": b"GET / HTTP/1.1\r\nHost: a, b\r\n",
    "a folded line": HEAD + b"X: a\r\n b\r\n",
    "a folded first line": b"GET / HTTP/1.1\r\n Host: a\r\n",
    "a folded line with a tab": HEAD + b"X: a\r\n\tb: c\r\n",
    "a bare LF after a field": HEAD + b"X: a\nY: b\r\n",
    "a bare LF for the empty line": HEAD + b"\n",
    "a bare CR in a value": HEAD + b"X: a\rb\r\n",
    "a bare CR for a line's end": HEAD + b"X: a\rY: b\r\n",
    "two CRs": HEAD + b"X: a\r\r\n",
    "an empty line with two CRs": HEAD + b"\r\r\n",
    "NUL in a value": HEAD + b"X: a\0b\r\n",
    "a control in a value": HEAD + b"X: \x01\r\n",
    "DEL in a value": HEAD + b"X: \x7f\r\n",
    "a vertical tab in a value": HEAD + b"X: aaaaaaaaaaaaaaaaaaaaaa\x0b\r\n",
    "a space before the colon": HEAD + b"X : a\r\n",
    "a tab before the colon": HEAD + b"Content-Length\t: 1\r\n",
    "an empty name": HEAD + b": a\r\n",
    "a name that is no token": HEAD + b"X(): a\r\n",
    "a name beyond ASCII": HEAD + b"\xc3\xa9: a\r\n",
    "no colon": HEAD + b"X\r\n",
    "Content-Length with a plus": POST + b"Content-Length: +1\r\n",
    "Content-Length with a minus": POST + b"Content-Length: -1\r\n",
    "Content-Length in hexadecimal": POST + b"Content-Length: 0x1\r\n",
    "Content-Length with a blank inside": POST + b"Content-Length: 1 1\r\n",
    "Content-Length with an underscore": POST + b"Content-Length: 1_1\r\n",
    "Content-Length with other digits": POST + b"Content-Length: \xd9\xa1\r\n",
    "an empty Content-Length": POST + b"Content-Length: \r\n",
    "a list of Content-Lengths": POST + b"Content-Length: 1, 1\r\n",
    "Content-Length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n",
    "two Content-Lengths": POST + b"Content-Length: 1\r\ncontent-length: 2\r\n",
    "Content-Length and Transfer-Encoding": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding and Content-Length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
    "Transfer-Encoding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n",
    "chunked before another coding": POST + b"Transfer-Encoding: chunked, gzip\r\n",
    "an empty Transfer-Encoding": POST + b"Transfer-Encoding:\r\n",
    "an empty coding": POST + b"Transfer-Encoding: ,chunked\r\n",
    "a chunk without a size": CHUNKED + b"\r\n",
    "a chunk's size with a sign": CHUNKED + b"+1\r\na\r\n",
    "a chunk's size with 0x": CHUNKED + b"0x1\r\na\r\n",
    "a chunk's size with blanks": CHUNKED + b" 1\r\na\r\n",
    "a chunk's size before blanks": CHUNKED + b"1 \r\na\r\n",
    "blanks before an extension": CHUNKED + b"1 ;a\r\na\r\n",
    "a chunk's size of 17 digits": CHUNKED + b"00000000000000001\r\na\r\n",
    "a chunk's size and a bare LF": CHUNKED + b"1\na\r\n",
    "a bare CR in an extension": CHUNKED + b"1;a\rb\r\na\r\n",
    "a control in an extension": CHUNKED + b"1;\0\r\na\r\n",
    "a chunk that is longer than its size": CHUNKED + b"1\r\nab\r\n",
    "a chunk that ends in LF": CHUNKED + b"1\r\na\n",
    "a chunk that ends in CR": CHUNKED + b"1\r\na\rb",
    "a folded trailer": CHUNKED + b"0\r\nA: b\r\n c\r\n",
    "a trailer without a colon": CHUNKED + b"0\r\nA\r\n",
    "a bare LF after the trailers": CHUNKED + b"0\r\n\n",
}

# The same with another status.
UNSUPPORTED = {
    "HTTP/2": (b"PRI * HTTP/2.0\r\n", 505),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n", 505),
    "a coding nobody knows": (POST + b"Transfer-Encoding: xchunked\r\n", 501),
    "a coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n", 501),
    "chunked with a parameter": (POST + b"Transfer-Encoding: chunked;q=1\r\n", 501),
    "chunked in quotes": (POST + b'Transfer-Encoding: "chunked"\r\n', 501),
    "identity": (POST + b"Transfer-Encoding: identity\r\n", 501),
    "a vertical tab around chunked": (POST + b"Transfer-Encoding: \x0bchunked\r\n", 400),
    "a length beyond all bounds": (POST + b"Content-Length: 18446744073709551617\r\n", 413),
    "a length beyond the limit": (POST + b"Content-Length: 1048577\r\n\r\n", 413),
    "a chunk beyond the limit": (CHUNKED + b"100001\r\n", 413),
    "a chunk that overflows": (CHUNKED + b"ffffffffffffffff\r\n", 413),
    "a chunk that overflows with what came": (CHUNKED + b"1\r\na\r\nffffffffffffffff\r\n", 413),
}
UNSUPPORTED |= {name: (data, 400) for name, data in MALFORMED.items()}


@pytest.mark.parametrize("name", UNSUPPORTED)
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_what_is_refused(core, name, streaming):
    data, status = UNSUPPORTED[name]
    assert refusal(core, data, streaming=streaming) == status


MALFORMED_RESPONSES = {
    "no status": b"HTTP/1.1\r\n",
    "an empty status": b"HTTP/1.1 \r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n",
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n",
    "a tab after the status": b"HTTP/1.1 200\tOK\r\n",
    "a control in the reason": b"HTTP/1.1 200 O\0K\r\n",
    "a bare LF after the reason": b"HTTP/1.1 200 OK\n\n",
    "a bare CR in the reason": b"HTTP/1.1 200 O\rK\r\n",
    "another protocol": b"ICY 200 OK\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
    "Content-Length and Transfer-Encoding": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
    ),
    "two Content-Lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
    "Transfer-Encoding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("name", MALFORMED_RESPONSES)
def test_responses_that_are_refused(core, name):
    assert refusal(core, MALFORMED_RESPONSES[name], "ResponseParser") == 400


def test_a_response_of_another_version_is_refused(core):
    assert refusal(core, b"HTTP/2.0 200 OK\r\n", "ResponseParser") == 505


@pytest.mark.parametrize("data", [HEAD + b"X : a\r\n", CHUNKED + b"x\r\n"], ids=["head", "body"])
def test_a_parser_that_failed_stays_failed(core, data):
    parser = core.http.RequestParser(streaming=True)
    parser.feed(HEAD + b"\r\n" + data)
    with pytest.raises(core.http.HTTPError) as first:
        list(parser)
    for again in (parser.next_message, lambda: parser.feed(HEAD), parser.feed_eof, lambda: list(parser)):
        with pytest.raises(core.FramingError) as second:
            again()
        assert second.value is first.value


def test_the_messages_before_the_fault_come_first(core):
    parser = core.http.RequestParser()
    parser.feed((HEAD + b"\r\n") * 2 + b"nonsense\r\n")
    assert parser.next_message().method == "GET"
    assert parser.next_message().method == "GET"
    with pytest.raises(core.http.HTTPError, match="request target"):
        parser.next_message()
