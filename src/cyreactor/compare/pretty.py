"""Tables and progress with rich: colours on a terminal, a progress bar with the time left."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table as RichTable
from rich.text import Text

from .plain import clock, speakable, width_of
from .tables import Piece, Table

STYLES = {
    "ours": "bold cyan", "name": "", "bar": "bright_black", "good": "bold green", "bad": "red", "dim": "dim",
    "note": "yellow", "title": "bold", "": "",
}  # fmt: skip


class Rich:
    """Colours and the progress bar are for terminals; rich itself respects NO_COLOR."""

    def __init__(self) -> None:
        self.width = width_of(sys.stdout)
        self.console = Console(width=self.width, highlight=False, soft_wrap=False)
        self.live = self.console if self.console.is_terminal else Console(stderr=True, highlight=False)
        self.progress: Progress | None = None
        self.task = TaskID(0)

    def table(self, table: Table) -> None:
        self.stop()
        drawn = RichTable(box=None, padding=(0, table.gap, 0, 0), pad_edge=False, header_style="dim")
        for at, header in enumerate(table.headers):
            drawn.add_column(self._text(header), no_wrap=True)
            drawn.columns[at].justify = "left" if at in table.left else "right"
        for row in table.rows:
            drawn.add_row(*(self._text(piece.text, piece.style) for piece in row))
        self.console.print()
        if table.title:
            self.console.print(self._text(table.title, "title") + self._text(f"  {table.subtitle}", "dim"))
        self.console.print(drawn)
        self.lines(table.notes)

    def lines(self, lines: Sequence[Piece]) -> None:
        self.stop()
        for piece in lines:
            self.console.print(self._text(piece.text, piece.style))

    def _text(self, text: str, style: str = "") -> Text:
        return Text(speakable(text, sys.stdout), STYLES[style])

    def step(self, part: float, left: float, doing: str) -> None:
        """Drawn between measurements, never during one: it would take the CPU from what is measured."""
        if not self.live.is_terminal:
            return
        if self.progress is None:
            columns = (BarColumn(24), TextColumn("{task.fields[left]} left · {task.description}"))
            self.progress = Progress(*columns, console=self.live, transient=True, auto_refresh=False)
            self.task = self.progress.add_task("", total=1.0, left="")
            self.progress.start()
        self.progress.update(self.task, completed=part, left=clock(left), description=doing)
        self.progress.refresh()

    def stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
