"""All figures of this machine, into ``bench/RESULTS.md`` and pictures beside it: ``python bench/report.py``.

First ``python -m cyreactor compare``, with more rounds, more workloads and an echo server in C as the limit;
then the programs of this folder, each in the way that its own description says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from processes import HERE, build

from cyreactor.compare import machine, peers, schedule, tables, workloads
from cyreactor.compare.measure import Comparison
from cyreactor.compare.peers import Peer
from cyreactor.compare.picture import draw
from cyreactor.compare.show import screen
from cyreactor.compare.tables import figure, number
from cyreactor.compare.workloads import EACH, LINE, Workload

# What Firefox sends to a site on this machine.
BROWSER = (
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

# Beside the workloads of the command: too many for a first look, or too slow.
KNOWN = {workload.name: workload for workload in workloads.WORKLOADS}
HTTP, ECHO = replace(KNOWN["http"], request=BROWSER), KNOWN["echo-1k"]
HEADERS = "HTTP hello to a browser's 12 header fields"
BY_CALLS = "echo 1 KiB, sock_recv and sock_sendall"
PACKED = LINE * 100
MORE = (
    replace(ECHO, name="echo-1k-1", title="echo 1 KiB, 1 connection", connections=1),
    replace(ECHO, name="echo-1k-200", title="echo 1 KiB, 200 connections", connections=200),
    replace(ECHO, name="sockets", title=f"{BY_CALLS}, 10 connections", server="sockets"),
    replace(ECHO, name="sockets-1", title=f"{BY_CALLS}, 1 connection", server="sockets", connections=1),
    Workload("threadsafe", "call_soon_threadsafe, own thread", "threadsafe", kind="inside"),
    Workload("tasks", "a task with one sleep(0)", "tasks", kind="inside"),
    Workload(
        "two-writes", "answer of 1 KiB in two writes", "servers:TwoWrites",
        request=b"x" * 64, answer=b"h" * 64 + b"b" * 960,
    ),
    Workload(
        "own-lines", "16 pipelined lines of 64 B, LineProtocol or by hand", "servers:own_lines",
        request=LINE * 16, answer=LINE * 16, operations=16, code=EACH,
    ),
    Workload(
        "packed", "asyncio streams, readline, 100 lines a packet", "servers:packed_lines",
        request=PACKED, answer=LINE, operations=100,
    ),
    Workload(
        "own-packed", "the loop's own streams, 100 lines a packet", "servers:own_packed_lines",
        request=PACKED, answer=LINE, operations=100, code=EACH,
    ),
    replace(HTTP, name="browser", title=HEADERS),
    replace(HTTP, name="browser-200", title=f"{HEADERS}, 200 connections", connections=200),
    replace(
        HTTP, name="browser-16", title=f"{HEADERS}, 16 pipelined",
        request=BROWSER * 16, operations=16, ending=b"",
    ),
    replace(
        KNOWN["idle-10000"], name="idle-18000", title="echo 1 KiB beside 18,000 idle connections", idle=18_000
    ),
)  # fmt: skip

# Of the smaller picture.
SUMMARY = ("echo-1k", "lines", "http", "own-streams", "tls", "idle-10000")

# A heading, the program, and what else must be installed for it.
PROGRAMS = (
    ("System calls of a loop for each operation", "syscalls.py", ""),
    ("Instructions of a loop for each operation", "instructions.py", "valgrind"),
    ("Lateness of timers: the median and the 99th percentile, in µs", "timers.py", ""),
    ("Files over HTTP: thousands of requests a second · server CPU for each in µs", "files.py", "wrk"),
    (
        "A Redis of `examples/kv_server.py`: thousands of commands a second · server CPU for each in µs",
        "kv.py", "redis-benchmark",
    ),
    (
        "Third-party programs on each loop: thousands of requests a second · CPU for each in µs",
        "services.py", "wrk",
    ),
    ("Parsers without I/O", "parsers.py", ""),
)  # fmt: skip

# Of the tables of the comparison: a heading, the metric, its unit.
FIGURES = (
    ("Thousands of operations a second", "throughput", 1e3),
    ("Server CPU for each operation, µs", "cpu", 1.0),
    ("Median latency of a request, µs", "p50", 1.0),
    ("99th percentile of the latency, µs", "p99", 1.0),
    ("Memory of an idle connection, bytes", "bytes", 1.0),
)


def compared(chosen, echo):
    """The comparison, measured."""
    columns = [Peer("C", "", program=str(echo)), *peers.chosen(chosen.loops)]
    measured = [workload for workload in (*workloads.WORKLOADS, *MORE) if chosen.only in workload.name]
    times = schedule.Schedule(measured, len(columns), chosen.rounds, 0.0, chosen.seconds)
    comparison = Comparison(measured, columns, chosen.rounds, times, machine.place())
    shown = screen()

    def step(index, part, doing):
        name = f"{measured[index].name} · {doing}"
        shown.step((index + part) / len(measured), times.left(index, part), name)

    comparison.run(step, lambda row: shown.table(tables.table_of(row, base(comparison), shown.width)))
    shown.stop()
    return comparison


def base(comparison):
    found = {peer.name: peer for peer in comparison.peers}
    return found.get("asyncio", comparison.peers[1])


def markdown(headers, rows):
    lines = [["", *headers], ["---", *["---:"] * len(headers)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def ratios(comparison):
    other = base(comparison)
    found = tables.matrix(comparison.rows, comparison.peers, other, sys.maxsize, None)[0]
    return markdown(found.headers[1:], [[piece.text for piece in row] for row in found.rows])


def figures(comparison, metric, unit):
    """A table of one metric; a column is a loop, a row a workload that has it."""
    rows = [
        [row.workload.title, *(cell_text(cell, metric, unit) for cell in row.cells.values())]
        for row in comparison.rows
        if row.measured(metric)
    ]
    return markdown([peer.name for peer in comparison.peers], rows)


def cell_text(cell, metric, unit):
    limited = ">" if metric == "throughput" and cell.generator_was_the_limit else ""
    return cell.failure or limited + figure(cell.spread(metric), unit).text


def reasons(comparison):
    """Why there are cells without figures, and what makes the others worth less."""
    found = {}
    for row in comparison.rows:
        if row.note:
            found.setdefault(f"{row.workload.name}: {row.note}", [])
        for peer, cell in row.cells.items():
            if cell.reason:
                found.setdefault(f"{peer.name}: {cell.reason}", []).append(row.workload.name)
    lines = [f"{reason} ({', '.join(names)})" if names else reason for reason, names in found.items()]
    return "".join(f"* {line}\n" for line in [*tables.warnings(comparison.rows), *lines])


def draw_pictures(comparison, folder):
    """All that the command measures, and a part of it that can be read in a README; without the C server."""
    for name, wanted in (("comparison", KNOWN), ("summary", SUMMARY)):
        rows = [row for row in comparison.rows if row.workload.name in wanted]
        for kind in ("svg", "png") if rows else ():
            draw(rows, comparison.peers[1:], base(comparison), str(folder / f"{name}.{kind}"))


def introduction(comparison, chosen):
    facts = machine.facts()
    versions = {peer.name: peers.version(peer) for peer in comparison.peers[1:] if not peers.missing(peer)}
    facts["loops"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    facts["other programs"] = ", ".join(filter(None, map(program_version, ("nginx", "redis-server"))))
    facts["CPUs"] = comparison.placement.note
    facts["rounds"] = f"{chosen.rounds} of {number(chosen.seconds)} s each, in random order"
    lines = [f"* {name}: {fact}" for name, fact in facts.items() if fact and name != "cpus"]
    return (
        f"# Results\n\nMade by `{chosen.command}`; `docs/comparing.md` describes the method.\n\n"
        + "\n".join(lines)
        + "\n\n![Event loops compared](comparison.png)\n\n"
        "A figure is the median of the rounds, ± the distance of the farthest one. C is an epoll server with"
        " nothing but an echo in it, the limit that a loop can approach. A row with *the loop's own* is not"
        " the same code in every column: cyreactor's have what cyreactor has, the others what one writes on"
        " them; so have those of frames and of HTTP, where the others parse with httptools.\n\n"
    )


def program_version(name):
    if not shutil.which(name):
        return ""
    said = subprocess.run([name, "-v"], capture_output=True, text=True, check=False)
    return " ".join((said.stdout + said.stderr).split()[:3])


def output_of(program, needed, rounds):
    """The tables that a program of this folder prints, and the command that prints them."""
    options = ["--rounds", str(rounds)] if program in ("files.py", "kv.py", "services.py") and rounds else []
    command = f"`python {' '.join([f'bench/{program}', *options])}`\n\n"
    if needed and not shutil.which(needed):
        return f"{command}Not measured: {needed} is not installed.\n"
    print(f"bench/{program}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, HERE / program, *options], stdout=subprocess.PIPE, text=True, check=False
    )
    return command + done.stdout.strip() + ("\n" if not done.returncode else "\n\nIt failed.\n")


def options():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each loop in a workload")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument("--loops", help="as of `python -m cyreactor compare`")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--program-rounds", type=int, default=0, help="of the programs; 0: their own")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="the file to write")
    chosen = parser.parse_args()
    chosen.command = " ".join(["python bench/report.py", *sys.argv[1:]])
    return chosen


def main():
    chosen = options()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        comparison = compared(chosen, build("echo", folder))
    draw_pictures(comparison, chosen.output.parent)
    text = introduction(comparison, chosen)
    text += f"## How many times better than {base(comparison).name}\n\n{ratios(comparison)}\n"
    text += f"≈ where the rounds of the two overlap.\n\n{reasons(comparison)}\n"
    for heading, metric, unit in FIGURES:
        if any(row.measured(metric) for row in comparison.rows):
            text += f"## {heading}\n\n{figures(comparison, metric, unit)}\n"
    for heading, program, needed in PROGRAMS:
        text += f"## {heading}\n\n{output_of(program, needed, chosen.program_rounds)}\n"
    chosen.output.write_text(text)


if __name__ == "__main__":
    main()
