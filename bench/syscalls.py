"""System calls of a round trip, of a connection, of a call: ``python bench/syscalls.py`` prints tables.

Counted in the process of the loop, by a library that is preloaded: what twice as many operations take more.
The counts do not depend on the machine.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile

import clients
from processes import KINDS, Counter, Subject, available, build_counter, come_to_rest, python_server

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

# The label of a row: the workload, what a client sends, the size of the answer.
WORKLOADS = {
    "protocol echo": ("echo", b"x" * 1024, 1024),
    "response in two writes": ("two-writes", b"x" * 64, 1024),
    "16 pipelined lines": ("own-lines", b"abcdefg\n" * 16, 128),
    "streams readline echo": ("streams", b"abcdefg\n", 8),
    "native streams readline echo": ("streams native", b"abcdefg\n", 8),
    "streams, two writes": ("streams-two-writes", b"abcdefg\n", 1024),
    "HTTP hello": ("http", GET, 116),
    "16 pipelined HTTP requests": ("http", GET * 16, 116 * 16),
    "sock_recv, sock_sendall": ("sock-calls", b"x" * 64, 64),
    "add_reader echo": ("readers", b"x" * 64, 64),
    "reading paused within a callback": ("pausing", b"x" * 64, 64),
    "reading paused until the next callback": ("pausing-for-a-turn", b"x" * 64, 64),
    "TLS echo": ("echo tls", b"x" * 1024, 1024),
    "TLS response in two writes": ("two-writes tls", b"x" * 64, 1024),
}

# The same of what a loop does by itself: work of subject.py.
INSIDE = {
    "a timer of 1 ms": "timers",
    "call_soon_threadsafe, own thread": "call_soon_threadsafe",
    "call_soon_threadsafe, loop awake": "calls while awake",
    "call_soon_threadsafe, loop asleep": "calls while asleep",
}
# The same for datagrams, which wait when the server looks: the workload, their sizes, the number of answers.
# Those of one size leave as one message, those of which each is larger than the one before do not.
BURSTS = {
    "burst of 16 datagrams": ("stopping", [64] * 16, 16),
    "burst of 16 growing datagrams": ("stopping", range(64, 80), 16),
    "burst of 16 datagrams, in lists": ("stopping-lists", [64] * 16, 16),
    "64 datagrams for one": ("volley", [64], 64),
}
TRIPS = 200
WARM_UP = 20


def per_trip(label, row, library, folder):
    """Calls per round trip: receive, send, wait, control."""
    workload, request, answer = WORKLOADS[row]
    counter = Counter(library, folder)
    with (
        python_server(label, workload, **counter.environment()) as (server, port),
        (clients.secured if workload.endswith(" tls") else clients.stream)(port, request, answer) as trip,
    ):
        return each(counter, trip, server.pid)[:4]


def per_burst(label, row, library, folder):
    """Calls per burst: receive, send, wait, control."""
    workload, sizes, answers = BURSTS[row]
    counter = Counter(library, folder)
    with (
        python_server(label, workload, **counter.environment()) as (server, port),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        burst(server, client, sizes, answers)
        start = counter.read()
        for _ in range(TRIPS):
            burst(server, client, [], 0)
        stopped = counter.read()  # which costs something too
        for _ in range(TRIPS):
            burst(server, client, sizes, answers)
        end = counter.read()
    return tuple((c - 2 * b + a) / TRIPS for a, b, c in zip(start, stopped, end, strict=True))[:4]


def burst(server, client, sizes, answers):
    client.send(b"stop")
    come_to_rest(server.pid, "T")
    for size in sizes:
        client.send(b"x" * size)
    os.kill(server.pid, signal.SIGCONT)
    for _ in range(answers):
        client.recv(100)
    come_to_rest(server.pid)


def per_connection(label, library, folder):
    """Calls of all KINDS for a connection that is accepted, greeted, and ended by its client."""
    counter = Counter(library, folder)
    with (
        python_server(label, "greeting", **counter.environment()) as (server, port),
        clients.connection(port, b"", 1, lambda: come_to_rest(server.pid)) as trip,
    ):
        return each(counter, trip, server.pid)


def per_call(label, row, library, folder):
    """Calls per operation of a loop's own: receive, send, wait, control."""
    counter = Counter(library, folder)
    with Subject(label, **counter.environment()) as subject:

        def go(count):
            subject.ask("work", INSIDE[row], count)
            subject.come_to_rest()

        return difference(counter, go)[:4]


def each(counter, trip, pid):
    """Calls of a trip, after each of which the server comes to rest.

    What is sent earlier would be found by the same wait as the rest of the trip before, or by one more,
    whichever process is quicker.
    """

    def go(count):
        for _ in range(count):
            trip()
            come_to_rest(pid)

    return difference(counter, go)


def difference(counter, go):
    """What twice as many operations take more, for each."""
    go(WARM_UP)
    seen = [counter.read()]
    for count in (TRIPS, 2 * TRIPS):
        go(count)
        seen.append(counter.read())
    return tuple((after - 2 * between + before) / TRIPS for before, between, after in zip(*seen, strict=True))


TABLES = {
    "recv/send/wait/ctl": {
        **dict.fromkeys(WORKLOADS, per_trip),
        **dict.fromkeys(BURSTS, per_burst),
        **dict.fromkeys(INSIDE, per_call),
    },
    "/".join(KINDS): {"a connection": lambda label, _, *where: per_connection(label, *where)},
}


def main():
    labels = sys.argv[1:] or available()
    with tempfile.TemporaryDirectory() as folder:
        library = build_counter(folder)
        for heading, table in TABLES.items():
            print(f"| {heading} | {' | '.join(labels)} |")
            print("|---" * (len(labels) + 1) + "|")
            for row, count in table.items():
                cells = [cell(count, label, row, library, folder) for label in labels]
                print(f"| {row} | {' | '.join(cells)} |", flush=True)
            print()


def cell(count, *which):
    try:
        return "/".join(f"{number:.2g}" for number in count(*which))
    except (OSError, RuntimeError):  # or it did not even start
        return "no answer"


if __name__ == "__main__":
    main()
