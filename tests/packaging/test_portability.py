"""The pure core needs nothing that only Unix has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_package_works_with_everything_hidden_that_only_unix_has():
    program = Path(__file__).with_name("without_unix.py")
    environment = {**os.environ, "CYREACTOR_BACKEND": "pure"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("fine\n", "", 0)
