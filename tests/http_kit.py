"""What tests of the HTTP parsers share: streams of all kinds, in pieces, and messages as plain values."""

from __future__ import annotations

from hypothesis import strategies as st

# Parts of messages, and what is put between them to make them wrong.
PARTS = [
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HEAD * HTTP/1.0\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.0 204 \r\n",
    b"HTTP/1.1 100 C\r\n", b"HTTP/1.1 101 S\r\n", b"HTTP/1.1 304 x\r\n",
    b"Host: a\r\n", b"host:b\r\n", b"Content-Length: 3\r\n", b"content-length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n",
    b"Connection: x, upgrade ,keep-alive\r\n", b"Upgrade: ws\r\n", b"Expect: 100-Continue\r\n",
    b"X: \t y\t z \t\r\n", b"Y:\r\n", b"Content-Length: 13\r\n",
    b"\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n", b"2;x=y\r\nab\r\n", b"fffffffffffffffff\r\n", b"00\r\n",
    b"d\r\n",
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


def described(message):
    """All that a message says, as a plain value; the cores' objects are of different types."""
    if isinstance(message, bytes):
        return message
    if type(message).__name__ == "End":
        return ("End", list(message.trailers))
    is_request = type(message).__name__ == "Request"
    own = ("method", "target", "expects_continue") if is_request else ("status", "reason")
    common = ("version", "body", "keep_alive", "upgrade", "content_length", "chunked")
    values = {name: getattr(message, name) for name in own + common}
    return values | {"headers": list(message.headers), "trailers": list(message.trailers)}


def parsed(parser, pieces, eof=False):
    """What a parser makes of a stream: its messages, body pieces joined, and how it ends."""
    found = []
    try:
        for piece in pieces:
            parser.feed(piece)
            found.extend(described(message) for message in parser)
        if eof:
            parser.feed_eof()
            found.extend(described(message) for message in parser)
    except ValueError as exc:
        return joined(found), (exc.status, str(exc))
    return joined(found), (parser.pending, parser.held)


def joined(found):
    """The same with one piece for each streamed body."""
    whole = []
    for item in found:
        if whole and isinstance(item, bytes) and isinstance(whole[-1], bytes):
            assert item
            whole[-1] += item
        else:
            whole.append(item)
    return whole


def single_bytes(data):
    return [data[i : i + 1] for i in range(len(data))]
