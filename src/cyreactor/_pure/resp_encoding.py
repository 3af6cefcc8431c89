"""RESP as it is sent: commands from their words, replies from Python values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._resp import Push, as_version, as_word, encode_scalar
from ..limits import RESP_DEPTH


def encode_command(*words: Any) -> bytes:
    """A command as an array of bulk strings. Words are bytes-like objects, str, int or float."""
    pieces: list[bytes] = []
    put_command(pieces, words)
    return b"".join(pieces)


def encode_commands(commands: Iterable[Any]) -> bytes:
    """Several commands one after the other, each a list or tuple of words."""
    pieces: list[bytes] = []
    for words in commands:
        put_command(pieces, words)
    return b"".join(pieces)


def encode_reply(value: Any, version: int = 2) -> bytes:
    """A Python value as a reply of the protocol's version 2 or 3.

    str is a simple string (ValueError where it holds a CR or LF), a bytes-like object a bulk string,
    an exception an error: a ReplyError as it is, any other after ``ERR``. In version 2, which has no
    such types, None is a null bulk string, a bool the integer 1 or 0, a float and an integer of more
    than 64 bits a bulk string, a dict an array of keys and values, a set and a Push an array.

    Raises TypeError for other types and ValueError for what is nested deeper than a parser takes.
    """
    pieces: list[bytes] = []
    put(pieces, value, as_version(version), 0)
    return b"".join(pieces)


def encode_replies(values: Iterable[Any], version: int = 2) -> bytes:
    """Several values as replies one after the other, see ``encode_reply``."""
    pieces: list[bytes] = []
    as_version(version)
    for value in values:
        put(pieces, value, version, 0)
    return b"".join(pieces)


def put_command(pieces: list[bytes], words: Any) -> None:
    if not isinstance(words, (list, tuple)):  # a str would be taken for its letters
        raise TypeError(f"a command is a list or tuple of words, not {type(words).__name__!r}")
    if not words:
        raise ValueError("a command has one word at least")
    pieces.append(b"*%d\r\n" % len(words))
    for word in words:
        body = word if type(word) is bytes else as_word(word)
        pieces.append(b"$%d\r\n%b\r\n" % (len(body), body))


def put(pieces: list[bytes], value: Any, version: int, depth: int) -> None:
    """Encode a value that is `depth` containers deep."""
    kind = type(value)
    if kind is bytes:
        pieces.append(b"$%d\r\n%b\r\n" % (len(value), value))
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        put_container(pieces, value, version, depth)
    else:
        pieces.append(encode_scalar(value, version))


def put_container(pieces: list[bytes], value: Any, version: int, depth: int) -> None:
    if depth == RESP_DEPTH:
        raise ValueError(f"a reply must not be nested deeper than {RESP_DEPTH}")
    items = value
    mark, count = b"*", len(value)
    if isinstance(value, dict):
        mark, count = (b"%", count) if version == 3 else (mark, 2 * count)
        items = [item for pair in value.items() for item in pair]
    elif version == 3 and isinstance(value, (set, frozenset)):
        mark = b"~"
    elif version == 3 and isinstance(value, Push):
        mark = b">"
    pieces.append(b"%b%d\r\n" % (mark, count))
    for item in items:
        put(pieces, item, version, depth + 1)
