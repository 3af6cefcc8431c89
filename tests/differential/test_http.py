"""HTTP streams, well-formed and not: the same messages and errors on both cores, however they are cut."""

from __future__ import annotations

from cores import CORES, load_core
from http_kit import cut, parsed, single_bytes
from hypothesis import given
from hypothesis import strategies as st

# Short limits, so that they meet often.
LIMITS = {"max_line": 40, "max_head": 120, "max_headers": 4, "max_body": 12}

# Parts of messages, and what is put between them to make them wrong.
PARTS = [
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HEAD * HTTP/1.0\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.0 204 \r\n", b"HTTP/1.1 100 C\r\n", b"HTTP/1.1 101 S\r\n",
    b"HTTP/1.1 304 x\r\n",
    b"Host: a\r\n", b"host:b\r\n", b"Content-Length: 3\r\n", b"content-length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n", b"Connection: x, upgrade ,keep-alive\r\n", b"Upgrade: ws\r\n", b"Expect: 100-Continue\r\n",
    b"X: \t y\t z \t\r\n", b"Y:\r\n", b"Content-Length: 13\r\n",
    b"\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n", b"2;x=y\r\nab\r\n", b"fffffffffffffffff\r\n", b"00\r\n", b"d\r\n",
]  # fmt: skip
BYTES = [bytes([byte]) for byte in b"\r\n \t\0:;,/aH1\x7f\x80"]

parts = st.lists(st.sampled_from(PARTS) | st.sampled_from(BYTES), max_size=12)
places = st.lists(st.integers(0, 10_000), max_size=8)


@st.composite
def messages(draw):
    """Messages that are mostly well-formed: a first line, fields, the empty line, a body."""
    stream = b""
    for _ in range(draw(st.integers(1, 3))):
        fields = draw(st.lists(st.sampled_from(PARTS[11:24]), max_size=4))
        body = draw(st.lists(st.sampled_from(PARTS[24:]), max_size=3))
        stream += draw(st.sampled_from(PARTS[:11])) + b"".join(fields) + b"\r\n" + b"".join(body)
    return stream


@st.composite
def damaged(draw):
    """The same with a byte lost, doubled or put in."""
    stream = draw(messages())
    at = draw(st.integers(0, len(stream)))
    instead = draw(st.sampled_from([b"", stream[at : at + 1] * 2, *BYTES]))
    return stream[:at] + instead + stream[at + draw(st.integers(0, 1)) :]


streams = parts.map(b"".join) | messages() | damaged()


def parser(core, kind, streaming, limits):
    package = load_core(core).http
    return getattr(package, kind)(streaming=streaming, **limits)


def agree(kind, data, places, eof, limits):
    for streaming in (False, True):
        expected = parsed(parser("pure", kind, streaming, limits), [data], eof)
        for core in CORES:
            for pieces in ([data], single_bytes(data), cut(data, places)):
                assert parsed(parser(core, kind, streaming, limits), pieces, eof) == expected


@given(data=streams, places=places, eof=st.booleans(), limits=st.sampled_from([LIMITS, {}]))
def test_any_requests_any_cut_any_core(data, places, eof, limits):
    agree("RequestParser", data, places, eof, limits)


@given(data=streams, places=places, eof=st.booleans(), limits=st.sampled_from([LIMITS, {}]))
def test_any_responses_any_cut_any_core(data, places, eof, limits):
    agree("ResponseParser", data, places, eof, limits)
