"""Tables and progress as text alone, where rich is not installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from .tables import Piece, Table

# What stands in for it where an encoding lacks it.
ASCII = str.maketrans("µ±×≈·–█░", "u+x~.-#.", "▏▎▍▌▋▊▉")

# Columns of what is not a terminal.
FILE_WIDTH = 100


def padded(table: Table) -> list[str]:
    """Header and rows, aligned."""
    widths = table.widths()
    lines = [table.headers, *([piece.text for piece in row] for row in table.rows)]
    return [
        (" " * table.gap).join(
            text.ljust(size) if at in table.left else text.rjust(size)
            for at, (text, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


class Plain:
    """Text alone; the progress is one line of the standard error that is written over."""

    def __init__(self) -> None:
        self.width = width_of(sys.stdout)
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.shown = False

    def table(self, table: Table) -> None:
        self.stop()
        title = f"{table.title}  ({table.subtitle})" if table.subtitle else table.title
        for line in ["", *([title] if title else []), *padded(table), *(piece.text for piece in table.notes)]:
            self._say(line)

    def lines(self, lines: Sequence[Piece]) -> None:
        self.stop()
        for piece in lines:
            self._say(piece.text)

    def _say(self, line: str) -> None:
        print(speakable(line, sys.stdout), flush=True)

    def step(self, part: float, left: float, doing: str) -> None:
        if self.live:
            text = f"{part * 100:3.0f} % · {clock(left)} left · {doing}"
            columns = shutil.get_terminal_size().columns - 1
            print(f"\r{speakable(text, sys.stderr)[:columns]}\x1b[K", end="", file=sys.stderr, flush=True)
            self.shown = True

    def stop(self) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self.shown = False


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
