"""Says what is wrong with a part of an HTTP message, and judges the rarer ones.

The parsers of both cores only ask here about what they do not take at a glance, which happens at
most once in the life of a connection that sends nonsense. A ``line`` comes without its LF.
"""

from __future__ import annotations

import re

from .errors import HTTPError

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VISIBLE = re.compile(rb"[!-~]+")
VERSION = re.compile(rb"HTTP/([0-9])\.[0-9]")
ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*://[^/?#].*")
AUTHORITY = re.compile(rb"[^/?#@]+:([0-9]{1,5})")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def line_end(line: bytes) -> HTTPError | None:
    """The fault of a line that does not end in CR LF (RFC 9112, 2.2)."""
    if not line.endswith(b"\r"):
        return HTTPError("a line ends in LF without CR")
    if b"\r" in line[:-1]:
        return HTTPError("a CR stands alone")
    return None


def request_line(line: bytes) -> HTTPError:
    """RFC 9112, 3."""
    fault = line_end(line)
    if fault is not None:
        return fault
    method, _, rest = line[:-1].partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if not TOKEN.fullmatch(method):
        return HTTPError("the request line does not begin with a method")
    if not VISIBLE.fullmatch(target):
        return HTTPError("the request target must be visible ASCII between two single spaces")
    return _version(version)


def status_line(line: bytes) -> HTTPError:
    """RFC 9112, 4."""
    fault = line_end(line)
    if fault is not None:
        return fault
    version, _, rest = line[:-1].partition(b" ")
    if not VERSION.fullmatch(version) or not version.startswith(b"HTTP/1"):
        return _version(version)
    if CONTROL.search(rest):
        return HTTPError("the reason phrase contains a control character")
    return HTTPError("the status code must be three digits, the first of them not zero")


def _version(version: bytes) -> HTTPError:
    match = VERSION.fullmatch(version)
    if match is None or match[1] == b"1":
        return HTTPError("the version must be HTTP/ with a digit, a dot and a digit")
    return HTTPError("only HTTP/1 is spoken here", 505)


def field_line(line: bytes) -> HTTPError:
    """RFC 9112, 5."""
    fault = line_end(line)
    if fault is not None:
        return fault
    if line[:1] in (b" ", b"\t"):
        return HTTPError("a field line begins with whitespace (obsolete line folding)")
    name, colon, _ = line.partition(b":")
    if not colon:
        return HTTPError("a field line has no colon")
    if name[-1:] in (b" ", b"\t"):
        return HTTPError("there is whitespace between a field's name and its colon")
    if not TOKEN.fullmatch(name):
        return HTTPError("a field's name is not a token")
    return HTTPError("a field's value contains a control character")


def chunk_line(line: bytes) -> HTTPError:
    """RFC 9112, 7.1; the whitespace that it grants before an extension has hidden chunks from parsers."""
    return line_end(line) or HTTPError(
        "a chunk must begin with its size, at most 16 hexadecimal digits; after it, extensions from ';' on"
    )


def target(method: str, target: bytes) -> HTTPError | None:
    """The fault of a request target that does not begin with a slash (RFC 9112, 3.2)."""
    if method == "CONNECT":
        match = AUTHORITY.fullmatch(target)
        if match is None or not 0 < int(match[1]) < 65536:
            return HTTPError("CONNECT wants a host and a port")
    elif target == b"*":
        if method != "OPTIONS":
            return HTTPError("only OPTIONS may be asked of '*'")
    elif not ABSOLUTE.fullmatch(target):
        return HTTPError("the request target is neither a path nor an absolute URI")
    return None


def transfer_encoding(value: bytes) -> HTTPError:
    """The fault of a Transfer-Encoding that is not ``chunked`` alone (RFC 9112, 6.1 and 6.3)."""
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if b"" in codings or b"chunked" in codings[:-1]:
        return HTTPError("chunked must be the last transfer coding, and applied once")
    return HTTPError("the only transfer coding understood is chunked", 501)
