"""The rare parts of RESP, written once for both cores: types that Python lacks, inline commands, scalars."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import ReplyError
from .limits import RESP_DIGITS


class Push(list[Any]):
    """What a RESP3 server sends unasked; its first element says what it is: ``b"message"``."""


class Verbatim(bytes):
    """Text of RESP3 that is to be shown as it is. ``format`` has three characters: ``txt``, ``mkd``."""

    format: str

    def __new__(cls, text: bytes, format: str = "txt") -> Verbatim:
        if len(format.encode("latin-1")) != 3:
            raise ValueError(f"the format of a verbatim string has three characters, not {format!r}")
        verbatim = super().__new__(cls, text)
        verbatim.format = format
        return verbatim


# A word of an inline command: plain characters, then perhaps a quoted part, which ends the word.
_WORD = re.compile(
    rb"""([^\s"']*)  (?: "((?:[^"\\]|\\.)*)" | '((?:[^'\\]|\\'|\\(?!'))*)' )?  (?:\s+|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes]:
    r"""The words of an inline command, with Redis' quoting: ``SET key "a \"b\"\x00"`` or ``'it\'s'``.

    Raises ValueError where a quote is not closed, or is followed by anything but white space.
    """
    if b'"' not in line and b"'" not in line:
        return line.split()
    line = line.strip()
    words = []
    at = 0
    while at < len(line):
        word = _WORD.match(line, at)
        if word is None:
            raise ValueError("unbalanced quotes in request")
        plain, double, single = word.groups(b"")
        words.append(plain + _ESCAPE.sub(_unescape, double) + single.replace(rb"\'", b"'"))
        at = word.end()
    return words


def _unescape(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    return bytes([int(code[1:], 16)]) if len(code) == 3 else _CONTROLS.get(code, code)


# --- elements that are one line ---

_INTEGER = re.compile(rb"[+-]?[0-9]{1,19}")
_DOUBLE = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:inf|nan)", re.IGNORECASE)
_BIG_NUMBER = re.compile(rb"[+-]?[0-9]{1,%d}" % RESP_DIGITS)


def as_text(line: bytes) -> str:
    """Text as it came: what is not UTF-8 survives a round trip."""
    return line.decode("utf-8", "surrogateescape")


def as_error(line: bytes) -> ReplyError:
    """An error reply."""
    return ReplyError(as_text(line))


def as_integer(line: bytes) -> int:
    """An integer of 64 bits."""
    number = int(line) if _INTEGER.fullmatch(line) else 1 << 63
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("invalid integer")
    return number


def as_null(line: bytes) -> None:
    """Nothing, after the first byte."""
    if line:
        raise ValueError("invalid null")


def as_boolean(line: bytes) -> bool:
    """``t`` or ``f``."""
    if line not in (b"t", b"f"):
        raise ValueError("invalid boolean")
    return line == b"t"


def as_double(line: bytes) -> float:
    """A number in floating point."""
    if not _DOUBLE.fullmatch(line):
        raise ValueError("invalid double")
    return float(line)


def as_big_number(line: bytes) -> int:
    """An integer of any size."""
    if not _BIG_NUMBER.fullmatch(line):
        raise ValueError("invalid big number")
    return int(line)


# What a line is made into, by the byte before it; ValueError says why it cannot be.
CONVERTERS: dict[int, Callable[[bytes], Any]] = {
    b"+"[0]: as_text,
    b"-"[0]: as_error,
    b":"[0]: as_integer,
    b"_"[0]: as_null,
    b"#"[0]: as_boolean,
    b","[0]: as_double,
    b"("[0]: as_big_number,
}


def as_verbatim(text: bytes) -> Verbatim:
    """A verbatim string, with its format before a colon."""
    if text[3:4] != b":":
        raise ValueError("verbatim string without a format")
    return Verbatim(text[4:], text[:3].decode("latin-1"))


def printable(byte: int) -> str:
    """A byte for an error's text, which must not break the line that it is sent in."""
    return f"'{byte:c}'" if 32 <= byte < 127 else f"byte {byte}"


# --- what is sent ---


def as_word(word: Any) -> bytes:
    """A word of a command that is not bytes."""
    if isinstance(word, str):
        return word.encode("utf-8", "surrogateescape")
    if isinstance(word, (bytes, bytearray, memoryview)):
        return bytes(word)
    if isinstance(word, int) and not isinstance(word, bool):
        return b"%d" % word
    if isinstance(word, float):
        return repr(float(word)).encode()
    raise TypeError(f"a word of a command must be bytes, str, int or float, not {type(word).__name__!r}")


def as_version(version: int) -> int:
    """The protocol's version, checked."""
    if version not in (2, 3):
        raise ValueError(f"the protocol's version is 2 or 3, not {version!r}")
    return version


def encode_scalar(value: Any, version: int) -> bytes:
    """Any value that is no container."""
    if value is None:
        return b"_\r\n" if version == 3 else b"$-1\r\n"
    if isinstance(value, str):
        return b"+%b\r\n" % _one_line(value)
    if isinstance(value, bool) and version == 3:
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 63:
            return b":%d\r\n" % value
        return b"(%d\r\n" % value if version == 3 else _bulk(b"%d" % value)
    if isinstance(value, float):
        digits = repr(float(value)).encode()
        return b",%b\r\n" % digits if version == 3 else _bulk(digits)
    if isinstance(value, Verbatim) and version == 3:
        return b"=%d\r\n%b:%b\r\n" % (len(value) + 4, value.format.encode("latin-1"), value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bulk(bytes(value))
    if isinstance(value, Exception):
        text = str(value) if isinstance(value, ReplyError) else f"ERR {value}"
        return b"-%b\r\n" % _one_line(text.replace("\r", " ").replace("\n", " "))
    raise TypeError(f"a reply cannot hold {type(value).__name__!r}")


def _bulk(body: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(body), body)


def _one_line(text: str) -> bytes:
    line = text.encode("utf-8", "surrogateescape")
    if b"\r" in line or b"\n" in line:
        raise ValueError("a simple string must not contain CR or LF: send bytes")
    return line
