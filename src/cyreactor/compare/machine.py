"""Where a comparison was made."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

from .. import __version__


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
