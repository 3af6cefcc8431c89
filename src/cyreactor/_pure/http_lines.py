"""The lines of HTTP/1.1 as patterns: what is well-formed (RFC 9110, 5; RFC 9112, 3, 4, 5 and 7.1).

No pattern can match beyond the line's end. The verdict on a line that none matches is given by
``cyreactor._faults``.
"""

from __future__ import annotations

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]*"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([0-9])\r\n")
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: (" + VALUE + rb"))?\r\n")
FIELD_LINE = re.compile(rb"(?:(" + TOKEN + rb"):(" + VALUE + rb"))?\r\n")  # or the empty line
NAME = re.compile(TOKEN)
FIELD_VALUE = re.compile(VALUE)
HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;" + VALUE + rb")?\r\n")


def options(value: bytes) -> list[bytes]:
    """The elements of a list, lower case."""
    return [option.strip(b" \t") for option in value.lower().split(b",")]
