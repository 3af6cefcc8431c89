"""The results as a picture for a slide: one panel a workload, bars with their spread, drawn by matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from . import machine
from .peers import Peer
from .results import Cell, Ratio, Row, Spread
from .tables import number, unit_of

# One colour a loop in all panels: ours are blue, the others warm or grey.
COLOURS = {
    "compiled": "#0b57a4",
    "pure": "#82b6e8",
    "asyncio": "#a3a3a3",
    "uvloop": "#e09f3e",
    "rloop": "#bc4b3c",
    "rsloop": "#8f6bb3",
    "blazio": "#7fc8b2",
    "winloop": "#e09f3e",
    "aiofastnet": "#2a9d8f",
    "thread": "#6c757d",
}
OTHERS = ("#c77dff", "#2a9d8f", "#e76f51", "#8d99ae")
TITLE, TEXT, SMALL = 9.0, 8.5, 8.0  # points
INK, FAINT = "#222222", "#767676"
FONTS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "cyreactor",
    "text.parse_math": False,
}

# Inches: of a panel, of what is above its bars, of one bar, of the picture's head and foot.
PANEL_WIDTH, PANEL_HEAD, BAR = 4.0, 0.64, 0.205
HEAD, FOOT = 1.36, 0.46
NAMES, MARGIN = 0.8, 0.15  # left of the bars, and around all
DOTS = 160  # an inch, of a PNG

# Characters that fit an inch, of the lines in head and foot.
IN_AN_INCH = 13.5

# Of a panel's width: what the longest bar leaves to the figures behind it.
FIGURES = 0.42


def draw(rows: Sequence[Row], peers: Sequence[Peer], base: Peer, name: str) -> None:
    """Write the picture; its kind is that of the name's ending."""
    with matplotlib.rc_context(FONTS):
        figure, panels = frame(len(rows), len(peers))
        for row, panel in zip(rows, panels, strict=True):
            draw_panel(panel, row, peers, base, common_end(row, rows))
        caption(figure, rows, base)
        figure.savefig(name, dpi=DOTS, facecolor="white", metadata=dateless(name))


def frame(count: int, bars: int) -> tuple[Figure, list[Any]]:
    """A figure with its panels, in a grid that is about as wide as a slide."""
    columns = count if count < 3 else 2 if count == 4 else 3 if count <= 9 else 4
    lines = math.ceil(count / columns)
    panel = PANEL_HEAD + BAR * max(bars, 2)
    width, height = PANEL_WIDTH * max(columns, 2), HEAD + FOOT + lines * panel
    figure = Figure((width, height))
    FigureCanvasAgg(figure)
    beside = NAMES + MARGIN
    grid = figure.add_gridspec(
        lines,
        columns,
        left=NAMES / width,
        right=1 - MARGIN / width,
        top=1 - HEAD / height,
        bottom=FOOT / height,
        wspace=beside / (PANEL_WIDTH - beside),
        hspace=PANEL_HEAD / (panel - PANEL_HEAD),
    )
    return figure, [figure.add_subplot(grid[index // columns, index % columns]) for index in range(count)]


def draw_panel(panel: Any, row: Row, peers: Sequence[Peer], base: Peer, end: float) -> None:
    scale, prefix = unit_of(row) if row.metric == "throughput" else (1.0, "")
    prepare(panel, peers, end * (1 + FIGURES))
    small = {"transform": panel.transAxes, "fontsize": SMALL, "color": FAINT, "va": "bottom"}
    panel.text(0, 1, unit_name(row, prefix), **small)
    panel.text(1, 1, f"× {base.name}", ha="right", **small)
    place = {"xytext": (0, 13), "xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    panel.annotate(row.workload.title, (0, 1), fontsize=TITLE, fontweight="bold", color=INK, **place)
    for at, peer in enumerate(peers):
        spread = row.cells[peer].spread(row.metric)
        if spread is None:
            said = f" {absence(row.cells[peer])}"
            panel.text(0, at, said, fontsize=SMALL, style="italic", color=FAINT, va="center")
            continue
        draw_bar(panel, at, spread, peer, number(spread.median / scale))
        write_ratio(panel, at, row.ratio(peer, base), peer, base)


def prepare(panel: Any, peers: Sequence[Peer], end: float) -> None:
    """Names on the left and nothing else: the figures stand beside the bars."""
    panel.set_xlim(0, end)
    panel.set_ylim(len(peers) - 0.4, -0.6)
    panel.set_yticks(range(len(peers)), [peer.name for peer in peers], fontsize=TEXT, color=INK)
    panel.set_xticks([])
    panel.tick_params(length=0, pad=3)
    for side in panel.spines.values():
        side.set_visible(False)
    for label, peer in zip(panel.get_yticklabels(), peers, strict=True):
        label.set_fontweight(weight(peer))


def draw_bar(panel: Any, at: int, spread: Spread, peer: Peer, text: str) -> None:
    panel.barh(at, spread.median, height=0.72, color=colour(peer), linewidth=0)
    halo = [matplotlib.patheffects.withStroke(linewidth=3.2, foreground="white")]
    ends = [spread.low, spread.high]
    panel.plot(ends, [at, at], color=INK, linewidth=1.4, solid_capstyle="butt", path_effects=halo)
    place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center_baseline"}
    panel.annotate(text, (spread.high, at), fontsize=TEXT, color=INK, fontweight=weight(peer), **place)


def write_ratio(panel: Any, at: int, ratio: Ratio | None, peer: Peer, base: Peer) -> None:
    if ratio is None:
        return
    clear = ratio.clear and peer != base
    text = "1" if peer == base else f"{'' if clear else '≈'}{number(ratio.spread.median)}"
    place = {"transform": panel.get_yaxis_transform(), "va": "center_baseline", "ha": "right"}
    panel.text(1, at, text, fontsize=TEXT, color=INK if clear else FAINT, fontweight=weight(peer), **place)


def absence(cell: Cell) -> str:
    """What stands where a bar is missing."""
    known = {"n/a": "does not apply", "missing": "not installed", "": "not measured"}
    return known.get(cell.failure, cell.failure)


def common_end(row: Row, rows: Sequence[Row]) -> float:
    """The longest bar of a panel; panels that differ in idle connections alone have it in common."""
    alike = [other for other in rows if other.workload.idle and other.metric == row.metric == "cpu"]
    spreads = [cell.spread(row.metric) for other in alike or [row] for cell in other.cells.values()]
    return max((spread.high for spread in spreads if spread), default=1.0)


def colour(peer: Peer) -> str:
    return COLOURS.get(peer.name) or OTHERS[sum(peer.name.encode()) % len(OTHERS)]


def weight(peer: Peer) -> str:
    return "bold" if peer.name == "compiled" else "normal"


def unit_name(row: Row, prefix: str) -> str:
    """Of the figures beside the bars."""
    if row.metric == "bytes":
        return "bytes, less is better"
    if row.metric == "cpu":
        return "µs of server CPU for each, less is better"
    return f"{ {'M': 'millions', 'k': 'thousands', '': 'so many'}[prefix] } a second"


def caption(figure: Figure, rows: Sequence[Row], base: Peer) -> None:
    width, height = figure.get_size_inches()
    fitting = int((width - 2 * MARGIN) * IN_AN_INCH)
    facts = machine.facts()
    left = MARGIN / width
    title: dict[str, Any] = {"fontsize": 15, "fontweight": "bold", "color": INK, "va": "top"}
    figure.text(left, 1 - MARGIN / height, "Event loops compared", **title)
    rounds = max((len(cell.samples) for row in rows for cell in row.cells.values()), default=0)
    method = (
        f"Bars: medians of {rounds} rounds; lines: lowest to highest round. "
        f"Right: how many times better than {base.name}, ≈ where the rounds overlap."
    )
    method = textwrap.fill(method, fitting)
    figure.text(left, 1 - 0.47 / height, method, fontsize=9, color=FAINT, va="top")
    versions = f"cyreactor {facts['cyreactor']} · {facts['python']} · {facts['system']} · {facts['cpu']}"
    foot = f"{versions} · {facts['date'][:10]} · python -m cyreactor compare"
    foot = textwrap.fill(foot, fitting)
    figure.text(left, 0.12 / height, foot, fontsize=8, color=FAINT, va="bottom")


def dateless(name: str) -> dict[str, Any]:
    """The same figures give the same file."""
    return {"Date": None} if Path(name).suffix.lower() == ".svg" else {}
