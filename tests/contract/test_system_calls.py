"""System calls per operation, counted in another process: the measure that no noise touches."""

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
    "add_reader echo",
    "reading paused within a callback",
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


# A wake-up of the pure core takes one datagram, unless the protocol takes lists.
BURSTS = {
    "burst of 16 datagrams": {"compiled": (1, 1, 1, 0), "pure": (16, 16, 16, 0)},
    "burst of 16 growing datagrams": {"compiled": (1, 1, 1, 0), "pure": (16, 16, 16, 0)},
    "burst of 16 datagrams, in lists": {"compiled": (1, 1, 1, 0), "pure": (16, 1, 1, 0)},
    "64 datagrams for one": {"compiled": (1, 1, 1, 0), "pure": (1, 1, 1, 0)},
}


@pytest.mark.parametrize("row", BURSTS)
def test_a_burst_of_datagrams_is_one_read_one_send_one_wait(core, syscalls, library, tmp_path, row):
    assert syscalls.per_burst(core.backend, row, library, tmp_path) == BURSTS[row][core.backend]


def test_a_trip_over_the_programs_own_socket(core, syscalls, library, tmp_path):
    """A selector does not tell that the stream has ended: the pure core has to try before each wait."""
    calls = {"compiled": (1, 1, 1, 0), "pure": (2, 1, 1, 0)}
    counted = syscalls.per_trip(core.backend, "sock_recv, sock_sendall", library, tmp_path)
    assert counted == calls[core.backend]


def test_a_pause_that_outlasts_its_event_is_told_to_the_kernel_and_so_is_its_end(
    core, syscalls, library, tmp_path
):
    counted = syscalls.per_trip(core.backend, "reading paused until the next callback", library, tmp_path)
    assert counted == (1, 1, 1, 2)


def test_a_timer_is_one_wait(core, syscalls, library, tmp_path):
    """Of the pure core two: select() knows less than a millisecond, and epoll then says who is ready.

    On a busy machine one of many is due before anybody could wait for it.
    """
    calls = {"compiled": (0, 0, 1, 0), "pure": (0, 0, 2, 0)}
    counted = syscalls.per_call(core.backend, "a timer of 1 ms", library, tmp_path)
    assert tuple(map(round, counted)) == calls[core.backend]


@pytest.mark.parametrize("row", ["call_soon_threadsafe, own thread", "call_soon_threadsafe, loop awake"])
def test_a_loop_that_is_awake_is_not_woken(core, syscalls, library, tmp_path, row):
    """The pure core's call_soon_threadsafe is asyncio's own, which always writes."""
    sends = {"compiled": 0, "pure": 1}
    assert syscalls.per_call(core.backend, row, library, tmp_path)[1] == sends[core.backend]


def test_a_loop_that_sleeps_is_woken_by_one_write(core, syscalls, library, tmp_path):
    """Of an eventfd that nobody has to read; the pure core has asyncio's socket pair, which it empties."""
    calls = {"compiled": (0, 1, 1, 0), "pure": (2, 1, 1, 0)}
    counted = syscalls.per_call(core.backend, "call_soon_threadsafe, loop asleep", library, tmp_path)
    assert counted == calls[core.backend]


def test_a_connection_from_accept_to_close(core, syscalls, library, tmp_path):
    """A second accept finds nobody. Its own address is that of its listener.

    Python's sockets are not born non-blocking, and look at what they are made of, PyPy's twice.
    """
    asked = {"compiled": 0, "pure": 2 if sys.implementation.name == "cpython" else 3}
    counted = dict(zip(syscalls.KINDS, syscalls.per_connection(core.backend, library, tmp_path), strict=True))
    assert counted == {
        "receive": 1, "send": 1, "wait": 2, "control": 2,
        "accept": 2, "describe": asked[core.backend], "close": 1,
    }  # fmt: skip
