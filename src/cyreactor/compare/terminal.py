"""What the standard output and the standard error can show."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

# What stands in for it where an encoding lacks it.
ASCII = str.maketrans("µ±×≈·–█░", "u+x~.-#.", "▏▎▍▌▋▊▉")

# Columns of what is not a terminal.
FILE_WIDTH = 100


def width_of(stream: TextIO) -> int:
    """Columns: of the terminal, or of ``COLUMNS``, or FILE_WIDTH."""
    if stream.isatty() or "COLUMNS" in os.environ:
        return shutil.get_terminal_size((FILE_WIDTH, 24)).columns
    return FILE_WIDTH


def speakable(text: str, stream: TextIO) -> str:
    """As much of a text as the stream's encoding has."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(ASCII).encode("ascii", "replace").decode()
    return text


def clock(seconds: float) -> str:
    minutes, rest = divmod(max(round(seconds), 0), 60)
    return f"{minutes}:{rest:02}"
