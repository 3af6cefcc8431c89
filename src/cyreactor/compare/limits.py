"""What this system allows: a workload is made smaller rather than left out."""

from __future__ import annotations

from dataclasses import replace

from .workloads import Workload

# Descriptors that a process needs beside its idle connections.
RESERVE = 200


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
