"""Which CPU the servers get, and which the load generator."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


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
