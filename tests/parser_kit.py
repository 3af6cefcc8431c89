"""What tests of parsers share: a stream is cut, and everything that a parser finds in the pieces is kept."""

from __future__ import annotations

from itertools import pairwise

import pytest


def cut(data, places):
    """The data in pieces; a place beyond its end counts from the beginning again."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def messages(parser, pieces, told=lambda message: message):
    """Everything that a parser finds in the pieces, and how it ends: pending bytes, or the error."""
    found = []
    try:
        for piece in pieces:
            parser.feed(piece)
            found.extend(told(message) for message in parser)
    except ValueError as exc:
        with pytest.raises(type(exc)):  # it stays failed
            parser.next_message()
        return found, str(exc)
    return found, parser.pending
