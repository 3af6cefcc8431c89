"""System calls per round trip, counted in a server: the measure that no noise touches."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
ROWS = [
    "protocol echo",
    "response in two writes",
    "16 pipelined lines",
    "streams readline echo",
    "native streams readline echo",
    "HTTP hello",
    "16 pipelined HTTP requests",
    "TLS echo",
    "TLS response in two writes",
]


@pytest.fixture(scope="module")
def syscalls():
    """The benchmark itself, which is a program and no package."""
    sys.path.insert(0, str(BENCH))
    try:
        return importlib.import_module("syscalls")
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def library(syscalls, tmp_path_factory):
    return syscalls.build_counter(tmp_path_factory.mktemp("counter"))


@pytest.mark.parametrize("row", ROWS)
def test_a_round_trip_is_one_read_one_send_one_wait(core, syscalls, library, tmp_path, row):
    assert syscalls.per_trip(core.backend, row, library, tmp_path) == (1, 1, 1, 0)
