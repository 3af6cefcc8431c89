"""Instructions of an operation, counted by callgrind: ``python bench/instructions.py`` prints a table.

The measure that no neighbour's load touches: what the process of the loop executes itself, for one call, one
message or one connection. callgrind sees no kernel; the client is a process of its own. An operation is what
twice as many of them take more. ``--record`` writes the counts down, ``--check`` fails where they have grown.
Needs valgrind with its headers, and a C compiler.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import clients
from processes import HERE, Subject, available, build

RECORD = HERE / "instructions.json"
LABELS = ("compiled", "pure", "asyncio")  # in every run: the last one is what the others are related to
CORES = LABELS[:2]
WARM_UP = 100  # until Python has specialized its bytecode

# How much more an operation may take, where all but our code is as it was recorded. Counts repeat within
# 0.5 %; those of a row that is measured alone, and so with other memory at hand, are within 1 % of these.
BOUND = 1.05

# The same of the proportion to asyncio's, elsewhere: on another build of the same version of Python, and on a
# version of which nothing was recorded, where what asyncio and the interpreter changed counts as well.
# Measured: 3.11.2 as Debian builds it beside a plain 3.11.7, +7 % and -9 % at most; 3.11, 3.12 and 3.13, each
# beside the next, +31 % and -24 %.
BOUND_OF_BUILD = 1.15
BOUND_OF_VERSION = 1.5


@dataclass(frozen=True)
class Row:
    """What is counted: what a client asks a server for, or what a loop does by itself."""

    title: str
    name: str  # a workload of servers.py, or work of subject.py
    client: Callable | None = None
    request: bytes = b""
    answer: int = 0  # bytes
    each: int = 1  # operations of a trip
    count: int = 150  # trips, and the half of them

    @contextlib.contextmanager
    def going(self, subject):
        """A function that makes so many trips."""
        if self.client is None:
            yield lambda count: subject.ask("work", self.name, count)
            return
        port = int(subject.ask("serve", self.name))
        rest = (subject.come_to_rest,) if self.client is clients.connection else ()
        with self.client(port, self.request, self.answer, *rest) as trip:

            def go(count):
                for _ in range(count):
                    trip()
                    subject.come_to_rest()

            yield go


FRAME = struct.pack(">I", 64) + bytes(64)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cyreactor\r\nAccept: */*\r\n\r\n"
LINE = b"x" * 63 + b"\n"

ROWS = (
    Row("call_soon", "call_soon", count=1000),
    Row("call_later, cancelled", "cancelled timers", count=1000),
    Row("call_soon_threadsafe", "call_soon_threadsafe", count=1000),
    Row("sleep(0) of a task", "tasks", count=1000),
    Row("echo 1 KiB", "echo", clients.stream, b"x" * 1024, 1024, count=600),
    Row("line, 16 a packet", "own-lines", clients.stream, LINE * 16, 64 * 16, each=16),
    Row("length-prefixed frame, 16 a packet", "own-frames", clients.stream, FRAME * 16, 68 * 16, each=16),
    Row("HTTP hello", "own-http", clients.stream, GET, 116),
    Row("streams, readline echo", "streams", clients.stream, LINE, 64),
    Row("own streams, readline echo", "streams own", clients.stream, LINE, 64),
    Row("sock_recv, sock_sendall", "sock-calls", clients.stream, LINE, 64),
    Row("connection, accepted and closed", "greeting", clients.connection, answer=1),
    Row("datagram", "datagrams", clients.datagram, b"x" * 64, 64, count=600),
    Row("TLS echo 1 KiB", "echo tls", clients.secured, b"x" * 1024, 1024),
)


# --- counting ---


def count_all(labels, rows):
    """Instructions of an operation, by the row's title and the label."""
    if shutil.which("valgrind") is None:
        raise SystemExit("there is no valgrind")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        marks = build("marks", folder, "-shared", "-fPIC")
        counted = pool.map(lambda label: count(label, rows, marks, Path(folder, label)), labels)
        by_label = dict(zip(labels, counted, strict=True))
    return {row.title: {label: by_label[label][row.title] for label in labels} for row in rows}


def count(label, rows, marks, folder):
    """The same of one loop, in a process of its own; ``folder`` gets what callgrind writes."""
    folder.mkdir()
    callgrind = (
        "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no",
        f"--callgrind-out-file={folder}/counted", f"--log-file={folder}/log",
    )  # fmt: skip
    with Subject(label, marks, wrapper=callgrind, PYTHONHASHSEED="0") as subject:
        for row in rows:
            with row.going(subject) as go:
                go(WARM_UP)
                for times in (1, 2):
                    subject.ask("begin")
                    go(times * row.count)
                    subject.ask("end", f"{row.title} {times}")
    total = dict(map(read_dump, folder.glob("counted.*")))
    return {row.title: per_operation(row, total) for row in rows}


def per_operation(row, total):
    return (total[f"{row.title} 2"] - total[f"{row.title} 1"]) / (row.count * row.each)


def read_dump(path):
    """The name that was given to what callgrind wrote down, and the instructions."""
    name = instructions = None
    for line in path.read_text().splitlines():
        if line.startswith("desc: Trigger: Client Request: "):
            name = line.rpartition(": ")[2]
        elif line.startswith("totals: "):
            instructions = int(line.split()[1])
    return name, instructions


# --- what was recorded: one place for each version of Python ---

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def place():
    """All that decides what a machine executes, beside our code."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "interpreter": sys.version,
        "compiler": version.splitlines()[0],
        "libc": " ".join(platform.libc_ver()),
        "architecture": platform.machine(),
    }


def records():
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def record(counted):
    """Write the counts down; those of other rows stay, where they are of the same place."""
    found, here = records(), place()
    former = found.get(VERSION, {})
    kept = former["instructions"] if former.get("place") == here else {}
    rounded = {title: {label: round(n) for label, n in row.items()} for title, row in counted.items()}
    merged = {row.title: rounded.get(row.title) or kept.get(row.title) for row in ROWS}
    found[VERSION] = {"place": here, "instructions": {title: row for title, row in merged.items() if row}}
    by_version = {version: found[version] for version in sorted(found, key=minor)}
    RECORD.write_text(json.dumps(by_version, indent=1) + "\n")


def minor(version):
    return int(version.partition(".")[2])


def comparable(found, version, here):
    """What was counted on this version of Python, or on the nearest; the bound, and whether of counts."""
    known = min(found, key=lambda other: abs(minor(other) - minor(version)))
    if found[known]["place"] == here:
        return found[known]["instructions"], BOUND, True
    return found[known]["instructions"], BOUND_OF_BUILD if known == version else BOUND_OF_VERSION, False


def check(counted, before, bound, absolute):
    """What has become dearer or was never recorded, and what has become cheaper: a list of each.

    Rows that are new need not be recorded everywhere at once.
    """
    dearer, cheaper = [], []
    for title, row in counted.items():
        if title not in before:
            dearer += [f"{title}: was never recorded"] * absolute
            continue
        for core in CORES:
            factor = row[core] / before[title][core]
            if not absolute:
                factor *= before[title]["asyncio"] / row["asyncio"]
            change = f"{title}, {core}: {row[core]:,.0f} instructions, {factor - 1:+.1%}"
            if factor > bound:
                dearer.append(change)
            elif absolute and factor < 2 - bound:
                cheaper.append(change)
    return dearer, cheaper


def table(counted, labels):
    """A table: instructions, and in brackets their proportion to those on asyncio."""
    yield f"| instructions | {' | '.join(labels)} |"
    yield f"|---{'|---:' * len(labels)}|"
    for title, row in counted.items():
        cells = [f"{row[label]:,.0f} ({row[label] / row['asyncio']:.2f})" for label in labels]
        yield f"| {title} | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write the counts to {RECORD.name}")
    parser.add_argument("--check", action="store_true", help="fail where they have grown since")
    parser.add_argument("--only", default="", help="rows whose title contains this")
    parser.add_argument("--all", action="store_true", help="on all loops that are installed")
    options = parser.parse_args()
    labels = available() if options.all else LABELS
    counted = count_all(labels, [row for row in ROWS if options.only in row.title])
    print("\n".join(table(counted, labels)))
    if options.record:
        record(counted)
    if options.check:
        report(*check(counted, *comparable(records(), VERSION, place())))


def report(dearer, cheaper):
    """Say what has changed; exit where something has become dearer."""
    if cheaper:
        print("", "Cheaper than recorded, so record it anew (--record):", *cheaper, sep="\n")
    if dearer:
        raise SystemExit("\n".join(["", "Dearer than recorded:", *dearer]))


if __name__ == "__main__":
    main()
