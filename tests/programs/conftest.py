"""The programs are those of the extra ``programs``. Where one is not installed this folder is left out,
unless ``CYREACTOR_PROGRAMS=required``, which .ci/run sets: then a missing program is a failure.
"""

from __future__ import annotations

import importlib.util
import os

PROGRAMS = [
    "aiohttp",
    "aiosmtpd",
    "asyncpg",
    "asyncssh",
    "grpc",
    "h2",
    "httptools",
    "httpx",
    "hypercorn",
    "redis",
    "uvicorn",
    "websockets",
]
installed = all(importlib.util.find_spec(name) for name in PROGRAMS)

if not installed and os.environ.get("CYREACTOR_PROGRAMS") != "required":
    collect_ignore_glob = ["test_*.py"]
