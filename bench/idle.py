"""What idle connections cost: ``python bench/idle.py [--idle N] [LABEL ...]`` prints a table.

Memory: the server's resident size before and after they connect, divided by their number. Time: the
server's CPU per 1 KiB echo on 10 active connections, without the idle ones and beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import socket
import statistics
import tempfile
import time
from pathlib import Path

from processes import available, build, python_server
from rounds import Server, cpus
from throughput import ask

ACTIVE = ("echo", 10, 1024, 0, 1024)


def resident(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(label, load, options):
    """Bytes per idle connection, CPU per echo without and with them, in microseconds."""
    server_cpu, client_cpu = cpus()
    with python_server(label, "echo", server_cpu) as (process, port), contextlib.ExitStack() as stack:
        alone = echo_cost(Server(process, port), load, client_cpu, options)
        before = resident(process.pid)
        for _ in range(options.idle):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        time.sleep(0.5)  # the last ones are accepted
        size = (resident(process.pid) - before) / options.idle
        beside = echo_cost(Server(process, port), load, client_cpu, options)
    return size, alone, beside


def echo_cost(server, load, client_cpu, options):
    for _ in range(options.rounds):
        ask(server, load, client_cpu, ACTIVE, options.seconds)
    return statistics.median(server.cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections (default: 10000)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default: 5)")
    parser.add_argument("labels", nargs="*", help="what to compare (default: all that is installed)")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| | bytes per idle connection | µs per echo, alone | beside the idle ones |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        load = build("load", folder)
        for label in options.labels or available():
            size, alone, beside = measure(label, load, options)
            print(f"| {label} | {size:.0f} | {alone:.2f} | {beside:.2f} |", flush=True)


if __name__ == "__main__":
    main()
