"""Servers that other programs' load generators ask in turn, round after round: wrk, redis-benchmark.

All servers of a row run at once on one CPU, and one load generator on another asks them in turn. A cell
is the median of the rounds: operations a second in thousands, and the server's CPU for each in µs, both
with the distance of the farthest round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from pathlib import Path

from processes import pin

from cyreactor.compare.results import Spread
from cyreactor.compare.tables import figure


class Server:
    """A process that is measured; ``clock`` gives the CPU time it has used, in seconds."""

    def __init__(self, process, port, clock=None):
        self.process, self.port, self.clock = process, port, clock or main_thread
        self.rates, self.cpu = [], []

    def round(self, command, cpu, read):
        """Run a load generator; ``read`` takes its output apart: operations, and how many a second."""
        before = self.clock(self.process.pid)
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, check=True, preexec_fn=pin(cpu)
        )
        operations, rate = read(done.stdout)
        self.rates.append(rate)
        self.cpu.append((self.clock(self.process.pid) - before) / operations * 1e6)

    def cell(self):
        return f"{spread(self.rates, 1e3)} k · {spread(self.cpu)}"


def spread(values, unit=1.0):
    """The median, and how far the farthest round is from it."""
    return figure(Spread(statistics.median(values), min(values), max(values)), unit).text


def main_thread(pid):
    """CPU seconds of a process with one thread; counted in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def all_threads(pid):
    """CPU seconds of all threads, ended ones too; counted in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpus():
    """The CPU of the servers and that of the load generator; the same where there is but one."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[:2][-1]


def options(description, rounds=5, **seconds):
    """A parser with what every comparison takes."""
    parser = argparse.ArgumentParser(
        description=description.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="measurements of each")
    parser.add_argument("--only", default="", help="rows whose label contains this")
    if seconds:
        parser.add_argument("--seconds", **seconds, help="of one measurement")
    return parser


def heading(columns):
    return f"| | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|"


def row(label, servers):
    """A line of the table; None for a column that has no such server."""
    return f"| {label} | {' | '.join(server.cell() if server else '' for server in servers)} |"
