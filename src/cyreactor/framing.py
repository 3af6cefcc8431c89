"""Framers without I/O, usable on any loop or on none: feed them bytes, iterate over messages."""

from ._backend import framing as _framing
from .errors import FramingError

Framer = _framing.Framer
LineFramer = _framing.LineFramer
DelimiterFramer = _framing.DelimiterFramer
LengthPrefixFramer = _framing.LengthPrefixFramer
FixedLengthFramer = _framing.FixedLengthFramer
NetstringFramer = _framing.NetstringFramer

__all__ = [
    "DelimiterFramer",
    "FixedLengthFramer",
    "Framer",
    "FramingError",
    "LengthPrefixFramer",
    "LineFramer",
    "NetstringFramer",
]
