"""What this machine is, and what it gives: its names and versions, the CPUs, the descriptors."""

from __future__ import annotations

import datetime
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from .workloads import Workload

# Descriptors that a process needs beside its idle connections.
RESERVE = 200


def facts() -> dict[str, str]:
    """The machine, the system, the versions, the time."""
    found = {
        "cyreactor": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": str(os.cpu_count() or "unknown"),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    if hasattr(os, "getloadavg"):
        found["load average"] = f"{os.getloadavg()[0]:.2f}"
    return found


def cpu_name() -> str:
    """As the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


@dataclass(frozen=True)
class Placement:
    """CPU numbers; None leaves the choice to the system."""

    server: int | None
    generator: int | None
    note: str

    @property
    def shared(self) -> bool:
        return self.server is not None and self.server == self.generator


def place() -> Placement:
    """Two CPUs of different cores where there are such."""
    if not hasattr(os, "sched_setaffinity"):
        return Placement(None, None, "CPUs not pinned: this system has no call for it")
    found = sorted(os.sched_getaffinity(0))
    if len(found) == 1:
        note = f"server and load generator share CPU {found[0]}: they take it from each other"
        return Placement(found[0], found[0], note)
    for other in found[1:]:
        if other not in siblings(found[0]):
            return Placement(found[0], other, f"servers on CPU {found[0]}, load generator on CPU {other}")
    note = f"servers on CPU {found[0]}, load generator on CPU {found[1]}, a second thread of the same core"
    return Placement(found[0], found[1], note)


def siblings(cpu: int) -> set[int]:
    """The CPUs that are threads of the same core."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        parts = path.read_text().strip().split(",")
    except OSError:
        return {cpu}
    ranges = [part.split("-") for part in parts]
    return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}


def descriptors() -> int | None:
    """How many a process may have; None where there is no such bound."""
    try:
        import resource
    except ImportError:
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def affordable(workload: Workload, rounds: int = 1) -> tuple[Workload, str]:
    """The workload with as many idle connections as there may be, and a note if those are fewer."""
    limit = descriptors()
    wanted = workload.idle * (rounds if workload.kind == "memory" else 1)
    if not workload.idle or limit is None or wanted + RESERVE <= limit:
        return workload, ""
    allowed = max((limit - RESERVE) * workload.idle // wanted, 1)
    title = workload.title.replace(f"{workload.idle:,}", f"{allowed:,}")
    wanted = workload.idle
    note = f"{allowed:,} idle connections instead of {wanted:,}: a process may have {limit:,} descriptors"
    return replace(workload, idle=allowed, title=title), note
