"""1 GiB over one TCP connection, each way, on each loop: ``python bench/bulk.py [--rounds N] [--only WAY]``.

A server takes what a client pours into it, or pours itself: 1 MiB a write, the next when the protocol is told
to resume. The client is Python's blocking sockets, on another CPU. A cell is the median of the rounds: GB a
second, and the server's CPU seconds for the whole, both with the distance of the farthest round.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time

from processes import LOOPS, available, serving
from rounds import cpus, heading, main_thread, options, spread
from servers import listen, run_on

TOTAL = 1 << 30
PIECE = 1 << 20


class Sink(asyncio.Protocol):
    """Says so once everything is there."""

    def connection_made(self, transport):
        self.transport, self.missing = transport, TOTAL

    def data_received(self, data):
        self.missing -= len(data)
        if not self.missing:
            self.transport.write(b"thanks")


class Source(asyncio.Protocol):
    """Writes as long as nobody tells it to pause."""

    piece = bytes(PIECE)

    def connection_made(self, transport):
        self.transport, self.missing, self.paused = transport, TOTAL, False
        self.resume_writing()

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        while self.missing and not self.paused:
            self.missing -= PIECE
            self.transport.write(self.piece)


WAYS = {"receives 1 GiB": Sink, "sends 1 GiB": Source}


def pour(client):
    piece = bytes(PIECE)
    for _ in range(TOTAL // PIECE):
        client.sendall(piece)
    client.recv(6, socket.MSG_WAITALL)


def drain(client):
    buffer, missing = bytearray(PIECE), TOTAL
    while missing:
        missing -= client.recv_into(buffer)


def once(way, port, pid):
    """GB a second, and the server's CPU seconds."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        before = main_thread(pid)
        started = time.perf_counter()
        (pour if WAYS[way] is Sink else drain)(client)
        return TOTAL / 1e9 / (time.perf_counter() - started), main_thread(pid) - before


def measured(way, labels, rounds):
    """The cells of a row."""
    server_cpu, client_cpu = cpus()
    os.sched_setaffinity(0, {client_cpu})
    found = [([], []) for _ in labels]
    with contextlib.ExitStack() as stack:
        servers = []
        for label in labels:
            loop, core = LOOPS[label]
            command = [sys.executable, __file__, "--serve", loop, way]
            chosen = {"CYREACTOR_BACKEND": core} if core else {}
            servers.append(stack.enter_context(serving(command, server_cpu, **chosen)))
        for _ in range(rounds):
            for (process, port), (rates, cpu) in zip(servers, found, strict=True):
                rate, used = once(way, port, process.pid)
                rates.append(rate)
                cpu.append(used)
    return [f"{spread(rates)} GB/s · {spread(cpu)} s" for rates, cpu in found]


def main():
    chosen = options(__doc__).parse_args()
    labels = available()
    print(heading(labels))
    for way in WAYS:
        if chosen.only in way:
            print(f"| {way} | {' | '.join(measured(way, labels, chosen.rounds))} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        logging.disable()
        run_on(sys.argv[2], listen(WAYS[sys.argv[3]]))
    else:
        main()
