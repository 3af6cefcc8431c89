"""Python processes that must not complain: warnings are errors, and standard error stays empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCENARIOS = Path(__file__).with_name("scenarios")
STRICT = [sys.executable, "-W", "error", "-X", "dev"]


def start(core, *arguments, **environment):
    return subprocess.Popen(
        [*STRICT, *map(str, arguments)],
        env={**os.environ, "CYREACTOR_BACKEND": core, **environment},
        cwd=SCENARIOS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, seconds):
    """What the process printed, once it has ended by itself, in time, and without a complaint."""
    try:
        output, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, complaints = process.communicate()
        complaints += f"\nstill running after {seconds} seconds"
    # asyncio's debug mode tells of slow callbacks: the machine's mood is no bug.
    complaints = [line for line in complaints.splitlines() if not line.startswith("Executing <")]
    assert not complaints, "\n".join(complaints)
    assert process.returncode == 0
    return output
