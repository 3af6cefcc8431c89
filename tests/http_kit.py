"""What tests of the HTTP parsers share: messages as plain values, and streams in pieces."""

from __future__ import annotations

from itertools import pairwise


def described(message):
    """All that a message says, as a plain value; the cores' objects are of different types."""
    if isinstance(message, bytes):
        return message
    if type(message).__name__ == "End":
        return ("End", list(message.trailers))
    own = (
        ("method", "target", "expects_continue") if type(message).__name__ == "Request" else ("status", "reason")
    )
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


def cut(data, places):
    """The data in pieces, cut at the places (any numbers)."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def single_bytes(data):
    return [data[i : i + 1] for i in range(len(data))]
