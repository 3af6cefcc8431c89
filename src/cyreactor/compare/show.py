"""Puts tables and progress on a terminal or into a file: with rich where it is installed, else plainly."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Protocol

from .plain import Plain
from .tables import Piece, Table


class Screen(Protocol):
    """Where a comparison is shown. Progress goes to a terminal alone."""

    width: int

    def table(self, table: Table) -> None: ...
    def lines(self, lines: Sequence[Piece]) -> None: ...
    def step(self, part: float, left: float, doing: str) -> None: ...
    def stop(self) -> None: ...


def screen() -> Screen:
    """The best one for the standard output as it is."""
    if importlib.util.find_spec("rich"):
        from .pretty import Rich

        return Rich()
    return Plain()
