"""What the results look like as tables, before anybody draws them: titles, cells, bars, notes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .peers import Peer
from .results import Cell, Ratio, Row, Spread
from .workloads import EACH, Metric

# Columns of a bar; below the first none is drawn.
NARROWEST_BAR, WIDEST_BAR = 6, 40
EIGHTHS = " ▏▎▍▌▋▊▉"

# Between columns, and from which width on it is 2.
WIDE = 90

LABELS = {"throughput": "throughput", "cpu": "CPU", "bytes": "bytes"}
UNITS = ((1e6, "M"), (1e3, "k"), (1.0, ""))


class Piece(NamedTuple):
    """Text of a cell; ``style`` is a meaning: ours, good, bad, dim, name, note, or nothing."""

    text: str
    style: str = ""


@dataclass
class Table:
    title: str
    subtitle: str
    headers: list[str]
    rows: list[list[Piece]]
    left: set[int] = field(default_factory=lambda: {0})  # columns that are not aligned to the right
    gap: int = 2  # between columns
    notes: list[Piece] = field(default_factory=list)

    @property
    def width(self) -> int:
        return sum(self.widths()) + self.gap * (len(self.headers) - 1)

    def widths(self) -> list[int]:
        columns = zip(self.headers, *([piece.text for piece in row] for row in self.rows), strict=True)
        return [max(len(text) for text in column) for column in columns]


def number(value: float) -> str:
    """Three digits, or all of a whole number."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def percent(part: float) -> str:
    return f"±{part * 100:.0f}%" if part >= 0.0995 else f"±{part * 100:.1f}%"


def figure(spread: Spread | None, unit: float = 1.0) -> Piece:
    """A median and its spread; never one without the other."""
    if spread is None:
        return Piece("–", "dim")
    return Piece(f"{number(spread.median / unit)} {percent(spread.relative):>5}")


def ratio_piece(ratio: Ratio | None) -> Piece:
    if ratio is None:
        return Piece("–", "dim")
    text = f"{number(ratio.spread.median)} {percent(ratio.spread.relative):>5}"
    if not ratio.clear:
        return Piece(f"≈{text}", "dim")
    return Piece(text, "good" if ratio.spread.median > 1 else "bad")


def unit_of(row: Row) -> tuple[float, str]:
    """Of the throughputs in a row: the largest that leaves a digit before the point."""
    spreads = [cell.spread("throughput") for cell in row.cells.values()]
    largest = max((spread.median for spread in spreads if spread), default=1.0)
    return next((unit for unit in UNITS if largest >= unit[0]), UNITS[-1])


def bar(spread: Spread | None, largest: float, width: int) -> str:
    """Full up to the lowest round, shaded from there to the highest."""
    if spread is None or largest <= 0:
        return ""
    low, high = (value / largest * width for value in (spread.low, spread.high))
    full, part = divmod(low, 1.0)
    text = "█" * int(full) + EIGHTHS[int(part * 8)].strip()
    return text + "░" * max(round(high) - math.ceil(low), 0)


def table_of(row: Row, base: Peer, width: int) -> Table:
    """A workload's own table: a line for each loop."""
    scale, prefix = unit_of(row)
    metric = row.metric
    figures = {"throughput": f"{prefix}/s", "cpu": "CPU µs", "p50": "p50 µs", "p99": "p99 µs"}
    figures["bytes"] = "bytes"
    names = [name for name in figures if any(cell.values(name) for cell in row.cells.values())]
    names.sort(key=lambda name: name != metric)
    names = names or [metric]
    while True:
        headers = ["", *(figures[name] for name in names), f"× {base.name}"]
        lines = [
            [_named(peer), *_figures(cell, names, scale), _last(row, cell, peer, base)]
            for peer, cell in row.cells.items()
        ]
        table = Table(row.workload.title, _subtitle(row), headers, lines, notes=_notes(row))
        table.gap = 2 if width >= WIDE else 1
        if table.width <= width or len(names) == 1:
            break
        names.pop()  # rather a figure less than half of it
    _add_bars(table, row, width)
    return table


def _named(peer: Peer) -> Piece:
    return Piece(peer.name, "ours" if peer.ours else "name")


def _figures(cell: Cell, names: Sequence[str], scale: float) -> list[Piece]:
    if cell.failure:
        return [Piece(cell.failure, "bad" if cell.failure not in ("n/a", "missing") else "dim")] + [
            Piece("", "dim") for _ in names[1:]
        ]
    pieces = [figure(cell.spread(name), scale if name == "throughput" else 1.0) for name in names]
    if cell.generator_was_the_limit and names:
        at = names.index("throughput")
        pieces[at] = Piece(f">{pieces[at].text}", "note")
    return pieces


def _last(row: Row, cell: Cell, peer: Peer, base: Peer) -> Piece:
    if cell.failure:
        return Piece("", "dim")
    return Piece("1", "dim") if peer == base else ratio_piece(row.ratio(peer, base))


def _subtitle(row: Row) -> str:
    shorter = {"throughput": "", "cpu": "CPU time: shorter is better", "bytes": "shorter is better"}
    code = EACH if row.workload.code == EACH else ""
    return " · ".join(part for part in (shorter[row.metric], code) if part)


def _add_bars(table: Table, row: Row, width: int) -> None:
    """After the first figure, as wide as the other columns leave room for."""
    spreads = [cell.spread(row.metric) for cell in row.cells.values()]
    largest = max((spread.high for spread in spreads if spread), default=0.0)
    room = min(width - table.width - table.gap, WIDEST_BAR)
    if room < NARROWEST_BAR:
        return
    table.headers.insert(2, "")
    table.left.add(2)
    for line, spread, peer in zip(table.rows, spreads, row.cells, strict=True):
        line.insert(2, Piece(bar(spread, largest, room), "ours" if peer.ours else "bar"))


def _notes(row: Row) -> list[Piece]:
    notes = [Piece(row.note, "note")] if row.note else []
    limited = [peer.name for peer, cell in row.cells.items() if cell.generator_was_the_limit]
    if limited:
        text = f"> the load generator was the limit, the server can do more: {', '.join(limited)}"
        notes.append(Piece(text, "note"))
    lost = {peer.name: sum(sample.lost for sample in cell.samples) for peer, cell in row.cells.items()}
    if any(lost.values()):
        told = ", ".join(f"{name} {count:,}" for name, count in lost.items() if count)
        notes.append(Piece(f"datagrams that never came back: {told}", "note"))
    reasons: dict[str, list[str]] = {}
    for peer, cell in row.cells.items():
        if cell.reason:
            reasons.setdefault(cell.reason, []).append(peer.name)
    return notes + [Piece(f"{', '.join(names)}: {reason}", "dim") for reason, names in reasons.items()]


def summaries(rows: Sequence[Row], peers: Sequence[Peer], base: Peer, width: int) -> list[Table]:
    """Ratios alone, a line for each workload: of what is compared, then of the server's CPU time."""
    tables = matrix(rows, peers, base, width, None)
    tables[0].title = f"How many times better than {base.name}"
    tables[0].subtitle = "throughput; idle: CPU; memory: bytes"
    tables[-1].notes = _unclear([row.ratio(peer, base) for row in rows for peer in peers if peer != base])
    timed = [row for row in rows if row.metric == "throughput" and row.measured("cpu")]
    if timed:
        more = matrix(timed, peers, base, width, "cpu")
        more[0].title = f"How many times less CPU than {base.name}"
        more[0].subtitle = "other programs disturb it less"
        tables += more
    tables[-1].notes += [Piece(warning, "note") for warning in warnings(rows)]
    return tables


def matrix(
    rows: Sequence[Row], peers: Sequence[Peer], base: Peer, width: int, metric: Metric | None
) -> list[Table]:
    """Several tables where one is too wide."""
    names = [Piece(row.workload.name, "name") for row in rows]
    columns = [[_summed(row, peer, base, metric) for row in rows] for peer in peers]
    headers = [peer.name for peer in peers]
    sizes = [
        max(len(head), *(len(piece.text) for piece in column))
        for head, column in zip(headers, columns, strict=True)
    ]
    first = max(len(piece.text) for piece in names)
    gap = 2 if width >= WIDE else 1
    tables, start = [], 0
    while start < len(peers):
        end = start + 1
        while end < len(peers) and first + sum(sizes[start : end + 1]) + gap * (end + 1 - start) <= width:
            end += 1
        lines = [[name, *(column[at] for column in columns[start:end])] for at, name in enumerate(names)]
        tables.append(Table("", "", ["", *headers[start:end]], lines, gap=gap))
        start = end
    return tables


def _summed(row: Row, peer: Peer, base: Peer, metric: Metric | None) -> Piece:
    cell = row.cells[peer]
    if cell.failure:
        return Piece(cell.failure, "dim" if cell.failure in ("n/a", "missing") else "bad")
    if peer == base:
        return Piece("1", "dim")
    piece = ratio_piece(row.ratio(peer, base, metric))
    return Piece(f">{piece.text}", piece.style) if cell.generator_was_the_limit and metric != "cpu" else piece


def _unclear(ratios: Sequence[Ratio | None]) -> list[Piece]:
    found = [ratio for ratio in ratios if ratio is not None]
    unclear = sum(not ratio.clear for ratio in found)
    if not unclear:
        return []
    text = f"≈ too noisy to tell: the rounds of the two overlap ({unclear} of {len(found)} ratios)"
    return [Piece(text, "dim")]


def warnings(rows: Sequence[Row]) -> list[str]:
    """What makes the figures of this run worth less than others."""
    found = []
    spreads = [(cell, cell.spread(row.metric)) for row in rows for cell in row.cells.values()]
    strays = [spread.relative for cell, spread in spreads if spread is not None]
    if strays and statistics.median(strays) > 0.10:
        found.append(
            f"This machine was noisy: half of the medians have a round more than "
            f"{statistics.median(strays) * 100:.0f} % off. --seconds makes rounds longer."
        )
    shares = [
        _busy(cell, row.shared)
        for row in rows
        for cell in row.cells.values()
        if ":" not in row.workload.server  # which may sleep
        and cell.values("generator_share")
        and cell.values("server_share")
    ]
    if shares and statistics.median(shares) < 0.80:
        found.append(
            f"Other programs were running: servers and load generator got "
            f"{statistics.median(shares) * 100:.0f} % of the CPU time that they could have used."
        )
    return found


def _busy(cell: Cell, shared: bool) -> float:
    """Of a server and its load generator one is always busy, or both together, unless others take the CPU."""
    pairs = zip(cell.values("server_share"), cell.values("generator_share"), strict=False)
    return statistics.median([sum(pair) if shared else max(pair) for pair in pairs])
