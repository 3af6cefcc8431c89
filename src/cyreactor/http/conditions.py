"""Conditional requests and ranges: what a client already has, and which part of the rest it wants.

RFC 9110, sections 13 and 14. Pure functions of header values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

Get = Callable[[bytes], Any]

_RANGE = re.compile(rb"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)
_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def precondition(get: Get, tag: bytes, modified: int) -> int:
    """What the request's preconditions make of a GET or HEAD: 200 to go on, 304 or 412.

    ``get`` looks up a header field, ``tag`` is the strong entity tag of what would be sent,
    ``modified`` the second of its last modification (section 13.2.2).
    """
    wanted = get(b"if-match")
    if wanted is not None:
        if not _lists(wanted, tag, weakly=False):
            return 412
    else:
        since = get(b"if-unmodified-since")
        if since is not None and modified > _seconds(since, modified):
            return 412
    known = get(b"if-none-match")
    if known is not None:
        return 304 if _lists(known, tag, weakly=True) else 200
    since = get(b"if-modified-since")
    return 304 if since is not None and modified <= _seconds(since, -1) else 200


def _lists(tags: bytes, tag: bytes, *, weakly: bool) -> bool:
    """Whether a list of entity tags has this one (section 8.8.3.2)."""
    if tags == b"*":
        return True
    found = _TAG.findall(tags)
    return tag in found or (weakly and b"W/" + tag in found)


def _seconds(date: bytes, default: int) -> int:
    """A date of HTTP's as seconds; the default for what is none, so that the field is ignored."""
    try:
        return int(parsedate_to_datetime(date.decode("ascii")).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return default


def byte_range(wanted: bytes, size: int) -> tuple[int, int] | None:
    """The part of ``size`` bytes that a Range field asks for, as (start, stop).

    None where the field is to be ignored: not understood, or several ranges at once. An empty part
    is what cannot be satisfied, 416 (section 14.2).
    """
    match = _RANGE.fullmatch(wanted)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return max(0, size - int(suffix)), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return size, size
    return start, min(int(last) + 1, size) if last else size


def range_still_holds(condition: bytes | None, tag: bytes, modified: bytes) -> bool:
    """Whether If-Range lets the range be sent: its tag or its date is that of now (section 13.1.5)."""
    return condition is None or condition in (tag, modified)
