"""HTTP parsers against h11 and httptools: the same of what is well-formed, nothing of what h11 refuses."""

from __future__ import annotations

import re

import h11
import httptools
import pytest
from cores import CORES, load_core
from http_kit import described, joined, places, streams
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parser_kit import cut

few = settings(max_examples=100)  # each takes three parsers

TOKEN = "!#$%&'*+-.^_`|~09AZaz"
VISIBLE = "".join(map(chr, range(33, 127)))


# --- what others make of a stream ---


def with_h11(role, data, method="GET"):
    """Messages as (first line's parts, fields, body), and whether it refused."""
    connection = h11.Connection(role, max_incomplete_event_size=1 << 20)
    found = []
    try:
        if role is h11.CLIENT:
            ask(connection, method)
        if data:  # nothing means the end there
            connection.receive_data(data)
        while not isinstance(event := next_event(connection, role), (type, h11.ConnectionClosed)):
            take(found, event)
            if connection.their_state is h11.SWITCHED_PROTOCOL:
                found[-1][3] = True
            if isinstance(event, h11.EndOfMessage) and not next_cycle(connection, role, method):
                break
    except h11.RemoteProtocolError:
        return whole(found), True
    return whole(found), False


def next_event(connection, role):
    event = connection.next_event()
    middle = connection.their_state is h11.SEND_BODY or connection.trailing_data[0]
    if event is h11.NEED_DATA and role is h11.CLIENT and middle:
        connection.receive_data(b"")
        event = connection.next_event()
    return event


def ask(connection, method):
    fields = [("Host", "a"), ("Connection", "upgrade"), ("Upgrade", "ws")]  # so that 101 is expected
    connection.send(h11.Request(method=method, target="a:1" if method == "CONNECT" else "/", headers=fields))
    connection.send(h11.EndOfMessage())


def next_cycle(connection, role, method):
    if role is h11.SERVER:
        connection.send(h11.Response(status_code=400, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
    ended = connection.trailing_data[1]
    if ended or connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
        return False
    connection.start_next_cycle()
    if role is h11.CLIENT:
        ask(connection, method)
    return True


def take(found, event):
    if isinstance(event, h11.Request):
        found.append([(event.method, event.target), fields_of(event.headers.raw_items()), b"", False])
    elif isinstance(event, (h11.Response, h11.InformationalResponse)):
        fields = fields_of(event.headers.raw_items())
        ended = isinstance(event, h11.InformationalResponse)
        found.append([(event.status_code, bytes(event.reason)), fields, b"", ended])
    elif isinstance(event, h11.Data):
        found[-1][2] += bytes(event.data)
    elif isinstance(event, h11.EndOfMessage):
        found[-1][3] = True


def fields_of(items):
    return [(bytes(name), bytes(value)) for name, value in items]


def whole(found):
    return [tuple(message[:3]) for message in found if message[3]]


class Listener:
    """Collects what httptools says."""

    def __init__(self):
        self.found = []

    def on_message_begin(self):
        self.found.append([b"", [], b""])
        self.in_head = True

    def on_headers_complete(self):
        self.in_head = False

    def on_url(self, url):
        self.found[-1][0] += url

    def on_header(self, name, value):
        if self.in_head:  # trailers come here too
            self.found[-1][1].append((name, value.strip(b" \t")))

    def on_body(self, body):
        self.found[-1][2] += body


def with_ours(parser, data, eof):
    """The same from a parser that goes on where it would hand over."""
    found = []
    try:
        parser.feed(data)
        while (message := parser.next_message()) is not None:
            found.append(message)
            if parser.held and hasattr(message, "status"):
                break
            parser.held = False
        if eof:
            parser.feed_eof()
            found.extend(parser)
    except ValueError:
        return [plain(message) for message in found], True
    return [plain(message) for message in found], False


def plain(message):
    if hasattr(message, "method"):
        first = (message.method.encode(), message.target.encode())
    else:
        first = (message.status, message.reason)
    return first, list(message.headers), message.body


# --- what is well-formed ---


def text(alphabet, **sizes):
    return st.text(alphabet, **sizes).map(str.encode)


names = text(TOKEN, min_size=1).filter(lambda name: name.lower() not in RESERVED)
values = st.lists(text(VISIBLE + "\t \xff"), max_size=3).map(b" ".join).map(lambda value: value.strip(b" \t"))
fields = st.lists(st.tuples(names, values), max_size=6)
blanks = st.sampled_from([b"", b" ", b"\t ", b"  "])
RESERVED = {b"connection", b"content-length", b"transfer-encoding", b"host", b"upgrade", b"expect"}
RESERVED |= {b"proxy-connection", b"keep-alive"}  # llhttp knows them


@st.composite
def chunked(draw, body):
    wire = b""
    for piece in cut(body, draw(places)):
        size = draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % len(piece)
        wire += size + draw(st.sampled_from([b"", b";a", b';b="c d"'])) + b"\r\n" + piece + b"\r\n"
    return wire + b"0\r\n" + draw(st.sampled_from([b"", b"Trailer: x\r\n"])) + b"\r\n"


@st.composite
def wires(draw, first, common):
    """A message as it goes over the wire, and as it should come out."""
    all_fields = [*common, *draw(fields)]
    body = draw(st.binary(max_size=60))
    framing = draw(st.sampled_from(["none", "counted", "chunked"]))
    wire = body
    if framing == "none":
        body = wire = b""
        all_fields += [(b"Content-Length", b"0")] if first.startswith(b"HTTP/") else []
    elif framing == "counted":
        all_fields.append((b"content-length", b"%d" % len(body)))
    else:
        all_fields.append((b"Transfer-Encoding", b"chunked"))
        wire = draw(chunked(body))
    lines = [name + b":" + draw(blanks) + value for name, value in all_fields]
    lines = [line if line.endswith(b"chunked") else line + draw(blanks) for line in lines]  # llhttp minds
    return b"\r\n".join([first, *lines, b"", wire]), all_fields, body


@st.composite
def requests(draw):
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"HEAD"]))
    target = b"/" + draw(text(VISIBLE))
    first = b"%s %s HTTP/1.1" % (method, target)
    wire, all_fields, body = draw(wires(first, [(b"Host", b"example.com:80")]))
    return wire, ((method, target), all_fields, body)


@st.composite
def responses(draw):
    status, reason = draw(st.integers(200, 599).filter(lambda status: status not in (204, 304))), draw(values)
    wire, all_fields, body = draw(wires(b"HTTP/1.1 %d %s" % (status, reason), []))
    return wire, ((status, reason), all_fields, body)


@few
@given(sent=st.lists(requests(), min_size=1, max_size=4), places=places)
def test_well_formed_requests(sent, places):
    data = b"".join(wire for wire, _ in sent)
    expected = [message for _, message in sent]
    assert with_h11(h11.SERVER, data) == (expected, False)
    listener = Listener()
    parser = httptools.HttpRequestParser(listener)
    for piece in cut(data, places):
        parser.feed_data(piece)
    assert listener.found == [[target, items, body] for (_, target), items, body in expected]
    for core in CORES:
        assert with_ours(load_core(core).http.RequestParser(), data, True) == (expected, False)
        assert streamed(load_core(core).http.RequestParser(streaming=True), data, places) == expected


@few
@given(sent=st.lists(responses(), min_size=1, max_size=4), places=places)
def test_well_formed_responses(sent, places):
    data = b"".join(wire for wire, _ in sent)
    expected = [message for _, message in sent]
    assert with_h11(h11.CLIENT, data) == (expected, False)
    for core in CORES:
        assert with_ours(load_core(core).http.ResponseParser(), data, True) == (expected, False)
        assert streamed(load_core(core).http.ResponseParser(streaming=True), data, places) == expected


def streamed(parser, data, places):
    found = []
    for piece in cut(data, places):
        parser.feed(piece)
        found.extend(parser)
    messages = []
    for item in found:
        if isinstance(item, bytes):
            messages[-1][2] += item
        elif hasattr(item, "headers"):
            messages.append(list(plain(item)))
    assert joined([described(item) for item in found]).count(("End", [])) <= len(messages)
    return [tuple(message) for message in messages]


# --- what is not ---

# What h11 refuses and we take: an empty line before a request, which a server SHOULD ignore (RFC 9112, 2.2).
# It stands at the start, after a head, after a counted body, which is "abc" here.
EMPTY_LINE = re.compile(rb"\A\r\n|\r\n\r\n\r\n|(?<!3\r\n)abc\r\n")

# And a second message in HTTP/1.0: h11 does not know keep-alive there (RFC 9112, 9.3).
OLD = re.compile(rb"(?s)HTTP/1.0.*keep-alive")


@few
@given(data=streams)
def test_we_take_no_request_that_h11_refuses(data):
    assume(not EMPTY_LINE.search(data) and not OLD.search(data))
    theirs, refused = with_h11(h11.SERVER, data)
    for core in CORES:
        ours, failed = with_ours(load_core(core).http.RequestParser(), data, True)
        check(ours, failed, theirs, refused)


@pytest.mark.parametrize("method", ["GET", "HEAD", "CONNECT"])
@few
@given(data=streams)
def test_we_take_no_response_that_h11_refuses(method, data):
    assume(not OLD.search(data))
    theirs, refused = with_h11(h11.CLIENT, data, method)
    for core in CORES:
        parser = load_core(core).http.ResponseParser()
        for _ in range(10):
            parser.expect(method)
        ours, failed = with_ours(parser, data, True)
        check(ours, failed, theirs, refused)


def check(ours, failed, theirs, refused):
    assert ours == theirs[: len(ours)]
    assert failed or len(ours) == len(theirs)
    assert failed or not refused
