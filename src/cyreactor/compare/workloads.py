"""What is measured: one row of the comparison each."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["stream", "reconnect", "datagram", "inside", "memory"]
Metric = Literal["throughput", "cpu", "bytes"]

LINE = b"x" * 63 + b"\n"
FRAME = struct.pack(">I", 64) + b"x" * 64
HELLO = b"Hello, World!\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cyreactor\r\nAccept: */*\r\n\r\n"

SAME = "the same code on every loop"
EACH = "each loop in its own way"


@dataclass(frozen=True)
class Workload:
    """One thing that a loop does, and how it is asked for."""

    name: str  # for --only, and in the summary
    title: str
    server: str  # who answers, by its name in servers.py, threads.py or inside.py
    kind: Kind = "stream"
    connections: int = 10
    request: bytes = b""
    answer: bytes | None = None  # None: whatever comes, its size is found out
    ending: bytes = b""  # of an answer that differs from server to server
    operations: int = 1  # in one request
    burst: int = 1  # datagrams of a request
    idle: int = 0  # connections beside the active ones
    tls: bool = False
    metric: Metric = "throughput"  # what the bars and the ratio are of
    code: str = SAME
    quick: bool = False  # belongs to a --quick run


def _echo(name: str, title: str, size: int, **options: object) -> Workload:
    data = b"x" * size
    return replace(Workload(name, title, "echo", request=data, answer=data), **options)  # type: ignore[arg-type]


def _idle(count: int) -> Workload:
    title = f"echo 1 KiB beside {count:,} idle connections"
    return _echo(f"idle-{count}", title, 1024, idle=count, metric="cpu")


WORKLOADS = (
    _echo("echo-64", "echo 64 B, 10 connections", 64),
    _echo("echo-1k", "echo 1 KiB, 10 connections", 1024, quick=True),
    _echo("echo-64k", "echo 64 KiB, 10 connections", 65536),
    Workload(
        "lines", "16 pipelined lines of 64 B, split by hand", "lines",
        request=LINE * 16, answer=LINE * 16, operations=16, quick=True,
    ),
    Workload(
        "frames", "16 pipelined length-prefixed frames of 64 B", "frames",
        request=FRAME * 16, answer=FRAME * 16, operations=16, code=EACH, quick=True,
    ),
    Workload(
        "http", "HTTP hello, keep-alive", "http",
        request=GET, ending=b"\r\n\r\n" + HELLO, code=EACH, quick=True,
    ),
    Workload("streams", "asyncio streams, readline", "streams", request=LINE, answer=LINE),
    Workload(
        "own-streams", "the loop's own streams, readline", "own-streams",
        request=LINE, answer=LINE, code=EACH, quick=True,
    ),
    _echo("connect", "connect, echo 64 B, close", 64, kind="reconnect"),
    _echo("tls", "TLS echo 1 KiB, 10 connections", 1024, tls=True, quick=True),
    Workload(
        "udp", "UDP echo, bursts of 16 datagrams", "datagrams", kind="datagram",
        connections=4, request=b"x" * 64, operations=16, burst=16,
    ),
    Workload("call_soon", "call_soon", "call_soon", kind="inside", quick=True),
    Workload("timers", "call_later and cancel", "timers", kind="inside"),
    _idle(10),
    _idle(1_000),
    _idle(10_000),
    Workload("memory", "memory of an idle connection", "echo", kind="memory", idle=1000, metric="bytes"),
)  # fmt: skip


def chosen(names: str | None, quick: bool) -> list[Workload]:
    """The workloads of ``--only``: names, or beginnings of names; raises ValueError for what is none."""
    if names is None:
        return [workload for workload in WORKLOADS if workload.quick or not quick]
    wanted = [named(name.strip()) for name in names.split(",") if name.strip()]
    if not wanted:
        raise ValueError("--only names no workload")
    return [workload for workload in WORKLOADS if any(workload in found for found in wanted)]


def named(name: str) -> list[Workload]:
    """The workload of that name, or those whose names begin so."""
    found = [workload for workload in WORKLOADS if workload.name == name]
    found = found or [workload for workload in WORKLOADS if workload.name.startswith(name)]
    if not found:
        raise ValueError(f"no workload {name!r}; there are {', '.join(one.name for one in WORKLOADS)}")
    return found


def of_user(protocol: str, request: bytes) -> Workload:
    """The user's own protocol, asked with the user's own request."""
    title = f"{protocol}, {len(request):,} B a request"
    return Workload("protocol", title, protocol, request=request)
