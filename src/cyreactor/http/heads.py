"""The head of a response: checked, rendered, and remembered for as long as its Date is right.

A server sends few different heads many times, so a rendered one is kept under what it was made of.
Only tuples can be remembered: give the fields of a frequent answer as a constant tuple of pairs.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from .._backend import http_exchange
from ..limits import HEAD_REMEMBERED, HEADS_REMEMBERED

Text = str | bytes
Fields = Mapping[Text, Text] | Iterable[tuple[Text, Text]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # no CR, LF or NUL: the peer would see another response
_DIGITS = re.compile(rb"[0-9]{1,18}")

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Checked(NamedTuple):
    """The fields of a response, those that frame it taken apart."""

    lines: bytes  # of the others, each with its CR LF
    length: int | None  # Content-Length, where it was given
    closes: bool  # Connection: close was given
    dated: bool  # Date was given


NO_FIELDS = Checked(b"", None, False, False)

_checked: dict[tuple[Any, ...], Checked] = {(): NO_FIELDS}


def check(fields: Fields) -> Checked:
    """Check and render header fields: pairs of name and value, as bytes or as Latin-1 text.

    Raises ValueError for a name that is no token, for a control character in a value (there is no
    response splitting), for a Content-Length that is no number, and for a Transfer-Encoding, which
    is the protocol's own.
    """
    if type(fields) is not tuple:
        return _check(fields)
    try:
        found = _checked.get(fields)
    except TypeError:  # something in it is mutable
        return _check(fields)
    if found is None:
        found = _check(fields)
        if len(found.lines) > HEAD_REMEMBERED:
            return found
        if len(_checked) >= HEADS_REMEMBERED:
            _checked.clear()
        _checked[fields] = found
    return found


def _check(fields: Fields) -> Checked:
    lines, length, closes, dated = [], None, False, False
    for name, value in fields.items() if isinstance(fields, Mapping) else fields:
        name, value = _field(name, value)
        known = name.lower()
        if known == b"transfer-encoding":
            raise ValueError("Transfer-Encoding is for the protocol to choose: send the body in pieces")
        if known == b"content-length":
            if length is not None or not _DIGITS.fullmatch(value):
                raise ValueError(f"Content-Length must be one number, not {value!r}")
            length = int(value)
        elif known == b"connection" and value.lower() == b"close":
            closes = True
        else:
            dated = dated or known == b"date"
            lines.append(b"%b: %b\r\n" % (name, value))
    return Checked(b"".join(lines), length, closes, dated)


def _field(name: Text, value: Text) -> tuple[bytes, bytes]:
    name = name.encode("latin-1") if isinstance(name, str) else bytes(name)
    value = value.encode("latin-1") if isinstance(value, str) else bytes(value)
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header field")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name.decode()} has a control character: {value!r}")
    return name, value


class Heads(http_exchange.LastHead):
    """The heads of one loop's responses."""

    def __init__(self) -> None:
        super().__init__()
        self._date = b""  # the field, for this second; empty when it must be made anew
        # The usual ones: of a whole body on a connection of HTTP/1.1 that goes on.
        self._remembered: dict[tuple[int, Any, int], bytes] = {}

    def usual(self, status: int, fields: Fields, size: int) -> bytes | None:
        """The head of such an answer, which is remembered; None where it is not one of these.

        Raises ValueError as ``check`` does, and for a status outside of 200 to 599.
        """
        try:
            head = self._remembered.get((status, fields, size))
        except TypeError:  # something in it is mutable
            return self._make_usual(status, fields, size)
        if head is None:
            head = self._make_usual(status, fields, size)
            if head is None or type(fields) is not tuple or len(head) > HEAD_REMEMBERED:
                return head
            if len(self._remembered) >= HEADS_REMEMBERED:
                self._remembered.clear()
            self._remembered[status, fields, size] = head
        self.status, self.fields, self.size, self.head = status, fields, size, head
        return head

    def _make_usual(self, status: int, fields: Fields, size: int) -> bytes | None:
        checked = check(fields)
        if checked.closes or status in (204, 304) or checked.length not in (None, size):
            return None
        return self.render(status, checked, b"Content-Length: %d\r\n" % size)

    def render(self, status: int, checked: Checked, framing: bytes, *, least: int = 200) -> bytes:
        """A head with these fields; ``framing`` is the lines that say how the body and the connection end."""
        if not least <= status <= 599:
            raise ValueError(f"the status of a final response is 200 to 599, not {status!r}")
        date = b"" if checked.dated else self._date or self._new_date()
        reason = _REASONS.get(status, b"")
        return b"HTTP/1.1 %d %b\r\n%b%b%b\r\n" % (status, reason, date, checked.lines, framing)

    def _new_date(self) -> bytes:
        now = time.time()
        self._date = b"Date: %b\r\n" % formatdate(now, usegmt=True).encode()
        asyncio.get_running_loop().call_later(1.0 - now % 1.0, self._end_second)
        return self._date

    def _end_second(self) -> None:
        """The second is over. Nothing is scheduled until the next response needs a Date."""
        self._date = b""
        self._remembered.clear()
        self.forget()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Heads] = WeakKeyDictionary()


def heads_of(loop: asyncio.AbstractEventLoop) -> Heads:
    """The heads of that loop's responses."""
    heads = _of_loops.get(loop)
    if heads is None:
        heads = _of_loops[loop] = Heads()
    return heads
