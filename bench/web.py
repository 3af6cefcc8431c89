"""HTTP side by side: ``python bench/web.py [--seconds S] [--rounds N]``.

A small answer to a request with a browser's headers, alone and 16 pipelined. All servers run at
once on one CPU; one load generator asks them in turn, from another CPU, round after round. A cell is
the median of the rounds: requests a second in thousands, and server CPU per request in µs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import HERE, build, pin, serving
from throughput import cpu_seconds

# The label of a column: the server, the loop, and the core where there is a choice.
SERVERS = {
    "compiled": ("cyreactor", "cyreactor", "compiled"),
    "pure": ("cyreactor", "cyreactor", "pure"),
    "uvloop + httptools": ("httptools", "uvloop", None),
    "the same, joined": ("httptools-joined", "uvloop", None),
    "asyncio + httptools": ("httptools", "asyncio", None),
}

# What Firefox sends to a site on this machine.
REQUEST = (
    b"GET /some/path?with=query HTTP/1.1\r\n"
    b"Host: localhost:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: none\r\n"
    b"Sec-Fetch-User: ?1\r\n"
    b"\r\n"
)

# The label of a row: connections, and requests that are sent together.
ROWS = {
    "hello, 10 connections": (10, 1),
    "hello, 200 connections": (200, 1),
    "16 pipelined, 10 connections": (10, 16),
}


class Server:
    def __init__(self, process, port):
        self.process, self.port = process, port
        self.answer = answer_size(port)
        self.rates, self.cpu = [], []

    def round(self, load, request, cpu, connections, together, seconds):
        before = cpu_seconds(self.process.pid)
        numbers = self.port, connections, len(REQUEST), together, self.answer * together, seconds
        command = [load, *map(str, numbers), request]
        done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin(cpu))
        trips, elapsed = done.stdout.split()
        requests = int(trips) * together
        self.rates.append(requests / float(elapsed))
        self.cpu.append((cpu_seconds(self.process.pid) - before) / requests * 1e6)


def answer_size(port):
    """Bytes of the answer to one request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(REQUEST)
        return len(client.recv(1 << 16))


def start(stack, label, cpu):
    server, loop, core = SERVERS[label]
    environment = {"CYREACTOR_BACKEND": core} if core else {}
    command = [sys.executable, HERE / "web_servers.py", server, loop]
    return Server(*stack.enter_context(serving(command, cpu, **environment)))


def measure(row, labels, folder, options):
    """The servers of a row after all rounds."""
    server_cpu, client_cpu = (None, None) if options.unpinned else sorted(os.sched_getaffinity(0))[:2]
    with contextlib.ExitStack() as stack:
        servers = {label: start(stack, label, server_cpu) for label in labels}
        for _ in range(options.rounds):
            for server in servers.values():
                server.round(folder / "load", folder / "request", client_cpu, *ROWS[row], options.seconds)
    return servers


def cell(server):
    return f"{statistics.median(server.rates) / 1e3:.1f} k · {statistics.median(server.cpu):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default: 5)")
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the CPUs, as users do")
    parser.add_argument("--only", default="", help="rows whose label contains this")
    parser.add_argument("labels", nargs="*", default=list(SERVERS), help="what to compare (default: all)")
    options = parser.parse_args()
    print(f"| | {' | '.join(options.labels)} |\n|---{'|---:' * len(options.labels)}|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build("load", folder)
        (folder / "request").write_bytes(REQUEST)
        for row in ROWS:
            if options.only in row:
                servers = measure(row, options.labels, folder, options)
                print(f"| {row} | {' | '.join(map(cell, servers.values()))} |", flush=True)


if __name__ == "__main__":
    main()
