"""``python -m cyreactor compare``: reads the options, measures, shows, writes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
from collections.abc import Callable
from pathlib import Path

from . import machine, peers, report, schedule, tables, workloads
from .measure import Comparison
from .peers import Peer
from .results import Row
from .show import Screen, screen
from .tables import Piece
from .workloads import Workload

INTERRUPTED = 130  # the exit code of what Ctrl-C or SIGTERM ended
PICTURES = (".svg", ".png", ".pdf")


def run(options: argparse.Namespace) -> int:
    """Returns the exit code, 1 where nothing could be measured.

    Raises ValueError for options that make no sense, and for files that cannot be read or written.
    """
    if options.list:
        show_list(screen())
        return 0
    comparison = plan(options)
    base = base_of(options.base, comparison)
    check_files(options)
    shown = screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    interrupted = measure(comparison, base, shown)
    finish(comparison, base, shown, options, interrupted)
    return INTERRUPTED if interrupted else 0 if any(row.answered for row in comparison.rows) else 1


def plan(options: argparse.Namespace) -> Comparison:
    """What is to be measured, before anything is."""
    chosen = [requested(options)] if options.protocol else workloads.chosen(options.only, options.quick)
    if options.request and not options.protocol:
        raise ValueError("--request is of a --protocol")
    columns = peers.chosen(options.loops)
    rounds = options.rounds or (3 if options.quick else 5)
    budget = schedule.QUICK_BUDGET if options.quick else schedule.BUDGET
    times = schedule.Schedule(chosen, len(columns), rounds, budget, options.seconds)
    return Comparison(chosen, columns, rounds, times, machine.place())


def requested(options: argparse.Namespace) -> Workload:
    if not options.request:
        raise ValueError("--protocol needs a --request: a file with what the protocol is sent")
    if options.only:
        raise ValueError("--only and --protocol: one of them")
    try:
        request = Path(options.request).read_bytes()
    except OSError as exc:
        raise named_file(options.request, exc) from None
    if not request:
        raise ValueError(f"{options.request} is empty")
    return workloads.of_user(options.protocol, request)


def base_of(name: str, comparison: Comparison) -> Peer:
    """The column that ratios are to; the first one where the usual one is not among them."""
    found = {peer.name: peer for peer in comparison.peers}
    if name in found:
        return found[name]
    if name == "asyncio":
        return comparison.peers[0]
    raise ValueError(f"--base {name} is none of {', '.join(found)}")


def check_files(options: argparse.Namespace) -> None:
    """Said before the measuring rather than after."""
    if options.plot:
        if Path(options.plot).suffix.lower() not in PICTURES:
            raise ValueError(f"--plot {options.plot}: the name must end in {', '.join(PICTURES)}")
        if not importlib.util.find_spec("matplotlib"):
            raise ValueError("--plot needs matplotlib: pip install 'cyreactor[compare]'")
    for name in filter(None, (options.plot, options.json)):
        existed = Path(name).exists()
        try:
            Path(name).open("ab").close()
        except OSError as exc:
            raise named_file(name, exc) from None
        if not existed:
            Path(name).unlink()


def named_file(name: str, exc: OSError) -> ValueError:
    return ValueError(f"{name}: {exc.strerror or exc}")


def measure(comparison: Comparison, base: Peer, shown: Screen) -> bool:
    """Shows each workload when it is done; returns whether Ctrl-C ended it."""
    count = len(comparison.workloads)

    def step(index: int, part: float, doing: str) -> None:
        what = f"{comparison.workloads[index].name} · {doing}"
        shown.step((index + part) / count, comparison.schedule.left(index, part), what)

    def finished(row: Row) -> None:
        shown.table(tables.table_of(row, base, shown.width))

    try:
        shown.lines(introduction(comparison))
        comparison.run(step, finished)
    except KeyboardInterrupt:
        keep_measured(comparison, finished)
        return True
    finally:
        shown.stop()
    return False


def keep_measured(comparison: Comparison, finished: Callable[[Row], None]) -> None:
    """The workload that was interrupted stays if it has rounds enough for a spread."""
    if not comparison.rows:
        return
    row = comparison.rows[-1]
    if any(len(cell.samples) > 1 for cell in row.cells.values()):
        row.note = row.note or "interrupted: fewer rounds"
        finished(row)
    else:
        comparison.rows.pop()


def finish(
    comparison: Comparison, base: Peer, shown: Screen, options: argparse.Namespace, interrupted: bool
) -> None:
    rows = comparison.rows
    if len(rows) > 1:
        for table in tables.summaries(rows, comparison.peers, base, shown.width):
            shown.table(table)
    else:
        shown.lines([Piece(warning, "note") for warning in tables.warnings(rows)])
    if comparison.left_out:
        names = ", ".join(workload.name for workload in comparison.left_out)
        text = f"Left out, because the time was over: {names}. --only measures them, so does --seconds."
        shown.lines([Piece(text, "note")])
    if interrupted:
        what = "this is what was measured until then" if rows else "nothing had been measured"
        shown.lines([Piece(f"Interrupted: {what}.", "note")])
    written = [options.json] if options.json else []
    if options.json:
        text = json.dumps(report.document(comparison, base, interrupted), indent=1)
        Path(options.json).write_text(text + "\n")
    if options.plot and rows:
        from .picture import draw

        draw(rows, comparison.peers, base, options.plot)
        written.append(options.plot)
    if written:
        shown.lines([Piece(f"Written: {', '.join(written)}", "dim")])


def introduction(comparison: Comparison) -> list[Piece]:
    facts = machine.facts()
    absent = [peer.name for peer in peers.PEERS if peers.missing(peer)]
    method = "median ±farthest round, ≈ where rounds overlap; CPU time is the server's, for each operation"
    lines = [
        f"cyreactor {facts['cyreactor']} · {facts['python']} · {facts['system']} · {facts['cpu']}",
        f"{comparison.placement.note}; {comparison.rounds} rounds in random order",
        method,
        f"not installed: {', '.join(absent)}" if absent else "",
    ]
    return [Piece(line, "dim") for line in lines if line]


def show_list(shown: Screen) -> None:
    """The names that --only and --loops know."""
    headers = ["", "", ""]
    rows = [
        [Piece(workload.name, "ours"), Piece(workload.title), Piece(workload.code, "dim")]
        for workload in workloads.WORKLOADS
    ]
    shown.table(tables.Table("Workloads, for --only", "", headers, rows, {0, 1, 2}))
    rows = []
    for peer in peers.PEERS:
        found = peers.missing(peer) or peers.version(peer)
        rows.append([Piece(peer.name, "ours"), Piece(found), Piece(peer.factory, "dim")])
    shown.table(tables.Table("Loops, for --loops and --base", "", headers, rows, {0, 1, 2}))
