"""System calls per round trip: ``python bench/syscalls.py`` prints a table.

Counted in the server, by a library that is preloaded. The counts do not depend on the machine.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from pathlib import Path

from processes import Counter, available, build_counter, python_server

from cyreactor.compare.probe import client_context

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

# The label of a row: the workload, what a client sends, the size of the answer.
WORKLOADS = {
    "protocol echo": ("echo", b"x" * 1024, 1024),
    "response in two writes": ("two-writes", b"x" * 64, 1024),
    "16 pipelined lines": ("lines", b"abcdefg\n" * 16, 128),
    "streams readline echo": ("streams", b"abcdefg\n", 8),
    "native streams readline echo": ("streams native", b"abcdefg\n", 8),
    "streams, two writes": ("streams-two-writes", b"abcdefg\n", 1024),
    "HTTP hello": ("http", GET, 116),
    "16 pipelined HTTP requests": ("http", GET * 16, 116 * 16),
    "TLS echo": ("echo tls", b"x" * 1024, 1024),
    "TLS response in two writes": ("two-writes tls", b"x" * 64, 1024),
}
TRIPS = 200
WARM_UP = 20


def per_trip(label, row, library, folder):
    """Calls per round trip: receive, send, wait, control."""
    workload, request, answer = WORKLOADS[row]
    if workload == "lines" and label in ("compiled", "pure"):
        workload = "framed-lines"
    counter = Counter(library, folder)
    with (
        python_server(label, workload, **counter.environment()) as (server, port),
        connected(port, workload.endswith(" tls")) as client,
    ):
        go(server, client, request, answer, WARM_UP)
        before = counter.read()
        go(server, client, request, answer, TRIPS)
        after = counter.read()
    return tuple((b - a) / TRIPS for a, b in zip(before, after, strict=True))


def connected(port, tls):
    """A client's socket; over TLS nobody looks at the certificate."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client_context().wrap_socket(client) if tls else client


def go(server, client, request, answer, trips):
    for _ in range(trips):
        client.sendall(request)
        missing = answer
        while missing:
            data = client.recv(missing)
            if not data:
                raise ConnectionError("the server closed the connection")
            missing -= len(data)
        come_to_rest(server)


def come_to_rest(server):
    """Until the server sleeps, that is, in its wait: nothing of this trip is left to count.

    What is sent earlier would be found by the same wait as the rest of this trip, or by one more,
    whichever process is quicker.
    """
    status = Path(f"/proc/{server.pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "S":
        time.sleep(0.00005)


def main():
    labels = sys.argv[1:] or available()
    print(f"| recv/send/wait/ctl | {' | '.join(labels)} |")
    print("|---" * (len(labels) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        library = build_counter(folder)
        for row in WORKLOADS:
            counts = [per_trip(label, row, library, folder) for label in labels]
            cells = ["/".join(f"{count:.2g}" for count in cell) for cell in counts]
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
