"""Throughput and server CPU side by side: ``python bench/throughput.py [--seconds S] [--rounds N]``."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from processes import available, build, python_server, serving
from rounds import Server, cpus, heading, options, row, trips

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


def ask(server, load, cpu, workload, seconds):
    _, *numbers = workload
    server.round([load, server.port, *numbers, seconds], cpu, trips)


def measure(workload, labels, folder, chosen):
    """The servers of a workload after all rounds, by their labels."""
    server_cpu, client_cpu = cpus(chosen.unpinned)
    with contextlib.ExitStack() as stack:
        servers = {}
        if workload[0] == "echo":
            servers["C"] = Server(*stack.enter_context(serving([folder / "echo"], server_cpu)))
        for label in labels:
            if workload[0] not in OURS or label in ("compiled", "pure"):
                started = stack.enter_context(python_server(label, workload[0], server_cpu))
                servers[label] = Server(*started)
        for _ in range(chosen.rounds):
            for server in servers.values():
                ask(server, folder / "load", client_cpu, workload, chosen.seconds)
    return servers


def main():
    parser = options(__doc__, type=float, default=1.0)
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the CPUs, as users do")
    parser.add_argument("labels", nargs="*", help="what to compare (default: all that is installed)")
    chosen = parser.parse_args()
    labels = chosen.labels or available()
    columns = ["C", *labels]
    print("Round trips per second in thousands, and server CPU per round trip in µs:\n")
    print(heading(columns))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in ("echo", "load"):
            build(source, folder)
        for label, workload in WORKLOADS.items():
            if chosen.only in label:
                servers = measure(workload, labels, folder, chosen)
                print(row(label, map(servers.get, columns)), flush=True)


if __name__ == "__main__":
    main()
