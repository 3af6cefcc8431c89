"""System calls per round trip: ``python bench/syscalls.py`` prints a table.

Counted in the server, by a library that is preloaded. The counts do not depend on the machine.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from processes import Counter, available, build_counter, python_server

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
}
# The same for datagrams, of which so many wait when the server looks: the workload, how many there are,
# the number of answers.
BURSTS = {
    "burst of 16 datagrams": ("datagrams", 16, 16),
    "burst of 16 datagrams, in lists": ("datagram-lists", 16, 16),
    "64 datagrams for one": ("volley", 1, 64),
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
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        go(server, client, request, answer, WARM_UP)
        before = counter.read()
        go(server, client, request, answer, TRIPS)
        after = counter.read()
    return tuple((b - a) / TRIPS for a, b in zip(before, after, strict=True))


def per_burst(label, row, library, folder):
    """Calls per burst: receive, send, wait, control."""
    workload, size, answers = BURSTS[row]
    counter = Counter(library, folder)
    with (
        python_server(label, workload, **counter.environment()) as (server, port),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        burst(server, client, size, answers)
        start = counter.read()
        for _ in range(TRIPS):
            burst(server, client, 0, 0)
        stopped = counter.read()  # which costs something too
        for _ in range(TRIPS):
            burst(server, client, size, answers)
        end = counter.read()
    return tuple((c - 2 * b + a) / TRIPS for a, b, c in zip(start, stopped, end, strict=True))


def burst(server, client, size, answers):
    client.send(b"stop")
    come_to_rest(server, "T")
    for _ in range(size):
        client.send(b"x" * 64)
    os.kill(server.pid, signal.SIGCONT)
    for _ in range(answers):
        client.recv(100)
    come_to_rest(server)


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


def come_to_rest(server, state="S"):
    """Until the server sleeps, that is, in its wait: nothing of this trip is left to count.

    What is sent earlier would be found by the same wait as the rest of this trip, or by one more,
    whichever process is quicker.
    """
    status = Path(f"/proc/{server.pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != state:
        time.sleep(0.00005)


def main():
    labels = sys.argv[1:] or available()
    print(f"| recv/send/wait/ctl | {' | '.join(labels)} |")
    print("|---" * (len(labels) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        library = build_counter(folder)
        for row in (*WORKLOADS, *BURSTS):
            count_calls = per_trip if row in WORKLOADS else per_burst
            counts = [count_calls(label, row, library, folder) for label in labels]
            cells = ["/".join(f"{count:.2g}" for count in cell) for cell in counts]
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
