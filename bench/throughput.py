"""Throughput and server CPU side by side: ``python bench/throughput.py [--seconds S] [--rounds N]``.

Every server of a workload runs at once, on one CPU; one load generator asks them in turn, from
another CPU, round after round. A cell is the median of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from processes import available, build, pin, python_server, serving

# The label of a row: the workload, connections, bytes and lines of a request, bytes of the answer.
WORKLOADS = {
    "echo 1 KiB, 10 connections": ("echo", 10, 1024, 0, 1024),
    "echo 1 KiB, 200 connections": ("echo", 200, 1024, 0, 1024),
    "echo 1 KiB, 1 connection": ("echo", 1, 1024, 0, 1024),
    "two writes, 10 connections": ("two-writes", 10, 64, 0, 1024),
    "16 lines of 64 B, 10 connections": ("lines", 10, 1024, 16, 1024),
    "16 lines, LineProtocol": ("framed-lines", 10, 1024, 16, 1024),
    "streams readline, 10 connections": ("streams", 10, 64, 1, 64),
    "streams readline, cyreactor.streams": ("streams native", 10, 64, 1, 64),
    "100 lines a packet, asyncio.streams": ("lines-100", 10, 6400, 100, 64),
    "100 lines a packet, cyreactor.streams": ("lines-100 native", 10, 6400, 100, 64),
}


# What only cyreactor has.
OURS = {"framed-lines", "streams native", "lines-100 native"}


class Server:
    def __init__(self, label, process, port):
        self.label, self.process, self.port = label, process, port
        self.throughput, self.cpu = [], []

    def round(self, load, client_cpu, workload, seconds):
        _, connections, request, lines, answer = workload
        before = cpu_seconds(self.process.pid)
        command = [load, *map(str, (self.port, connections, request, lines, answer, seconds))]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True,
            preexec_fn=pin(client_cpu),
        )
        trips, elapsed = done.stdout.split()
        self.throughput.append(int(trips) / float(elapsed))
        self.cpu.append((cpu_seconds(self.process.pid) - before) / int(trips) * 1e6)


def cpu_seconds(pid):
    """Time on a CPU so far; /proc counts it in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure(workload, labels, folder, options):
    """The servers of a workload after all rounds."""
    server_cpu, client_cpu = (None, None) if options.unpinned else sorted(os.sched_getaffinity(0))[:2]
    with contextlib.ExitStack() as stack:
        servers = []
        if workload[0] == "echo":
            servers.append(Server("C", *stack.enter_context(serving([folder / "echo"], server_cpu))))
        for label in labels:
            if workload[0] in OURS and label not in ("compiled", "pure"):
                continue
            servers.append(Server(label, *stack.enter_context(python_server(label, workload[0], server_cpu))))
        for _ in range(options.rounds):
            for server in servers:
                server.round(folder / "load", client_cpu, workload, options.seconds)
    return {server.label: server for server in servers}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default: 5)")
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the CPUs, as users do")
    parser.add_argument("--only", default="", help="rows whose label contains this")
    parser.add_argument("labels", nargs="*", help="what to compare (default: all that is installed)")
    options = parser.parse_args()
    labels = options.labels or available()
    columns = ["C", *labels]
    print("Round trips per second in thousands, and server CPU per round trip in µs:\n")
    print(f"| | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in ("echo", "load"):
            build(source, folder)
        for row, workload in WORKLOADS.items():
            if options.only in row:
                servers = measure(workload, labels, folder, options)
                cells = [cell(servers.get(column)) for column in columns]
                print(f"| {row} | {' | '.join(cells)} |", flush=True)


def cell(server):
    if server is None:
        return ""
    return f"{statistics.median(server.throughput) / 1e3:.1f} k · {statistics.median(server.cpu):.2f}"


if __name__ == "__main__":
    main()
