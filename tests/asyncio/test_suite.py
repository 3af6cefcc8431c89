"""The running interpreter's own tests of asyncio, with a Reactor for a loop, on both cores.

Nothing of them is copied: each module runs in a process of its own, see ``run_module.py``, the one of streams
once more with cyreactor's in the place of asyncio's. What cannot apply to another loop is listed in
``not_applicable.py``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cores import CORES

MODULES = [
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_pep492",
    "test_queues",
    "test_runners",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_streams",
    "test_streams:native",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_unix_events",
    "test_waitfor",
]
if sys.version_info >= (3, 12):
    MODULES.append("test_eager_task_factory")

CHILD = Path(__file__).with_name("run_module.py")

# A user's machine may do without; where it decides whether a change lands, nothing goes untested.
CI = bool(os.environ.get("CI"))

NO_TESTS = (
    "this interpreter comes without its own tests (the package test.test_asyncio), so nothing is known of "
    "how a Reactor compares with asyncio on it; on Debian they are in libpython3-testsuite"
)


def test_the_interpreter_brings_its_tests():
    require_tests()


def require_tests():
    """Say loudly where there is nothing to run."""
    if not interpreter_has_tests():
        (pytest.fail if CI else pytest.skip)(NO_TESTS)


def interpreter_has_tests():
    try:
        return importlib.util.find_spec("test.test_asyncio") is not None
    except ModuleNotFoundError:
        return False


def cases():
    """Each module on each core; those of TLS also with the engines that the compiled core does not choose."""
    yield from ((core, module, {}) for core in CORES for module in MODULES)
    if "compiled" in CORES:
        for engine in ("memory", "standard"):
            for module in ("test_ssl", "test_sslproto"):
                yield "compiled", module, {"CYREACTOR_TLS": engine}


CASES = {
    "-".join([core, *options.values(), module]): (core, module, options) for core, module, options in cases()
}


@pytest.mark.parametrize("case", CASES)
def test_asyncio_on_a_reactor(case, tmp_path):
    require_tests()
    core, module, options = CASES[case]
    complaints = [text for result in run(core, module, tmp_path, options) if (text := complaint(result))]
    if complaints:
        pytest.fail("\n\n".join(complaints), pytrace=False)


def complaint(result):
    """What is wrong with the outcome of a test; empty where nothing is."""
    test, outcome = result["test"], result["outcome"]
    if result["not_applicable"]:
        passes = outcome == "passed" and not result["may_pass"]
        return f"{test} is listed as not applicable, and passes" if passes else ""
    return "" if outcome in ("passed", "skipped") else f"{test} {outcome}\n{result['detail']}"


def run(core, module, folder, options):
    """The results of a module's tests, the ones that killed their process included."""
    report = folder / "report.jsonl"
    results, read = {}, 0
    while True:
        child = start(core, module, report, folder, options)
        lines = report.read_text().splitlines() if report.exists() else []
        if child.returncode and len(lines) == read:
            pytest.fail(f"{module} cannot be run:\n{child.stderr}", pytrace=False)
        for line in lines[read:]:
            result = json.loads(line)
            results[result["test"]] = result
        read = len(lines)
        if child.returncode == 0:
            break
        blame(results, child)
    assert results, f"{module} has no tests"
    return list(results.values())


def start(core, module, report, folder, options):
    command = [sys.executable, str(CHILD), module, str(report)]
    environment = {**os.environ, "CYREACTOR_BACKEND": core, **options}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def blame(results, child):
    """The test that had started last did not come back."""
    last = list(results.values())[-1]
    if last["outcome"] == "started":
        last["outcome"] = "hung or crashed"
        last["detail"] = f"exit status {child.returncode}\n{child.stderr[-5000:]}"
