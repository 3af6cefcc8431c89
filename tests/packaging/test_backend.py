"""The three states of ``CYREACTOR_BACKEND``, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cores import CORES

import cyreactor

SAY = "import cyreactor; print(cyreactor.backend)"
HIDE = "import sys; sys.modules['cyreactor._compiled.loop'] = None; "


def python(code, backend=None):
    """Run code in another process; returns the finished one."""
    env = {key: value for key, value in os.environ.items() if key != "CYREACTOR_BACKEND"}
    env["PYTHONPATH"] = str(Path(cyreactor.__file__).parents[1])
    if backend is not None:
        env["CYREACTOR_BACKEND"] = backend
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_unset_prefers_the_compiled_core():
    built = any(Path(cyreactor.__file__).with_name("_compiled").glob("loop.*.so"))
    expected = "compiled" if built or "compiled" in CORES else "pure"
    assert python(SAY).stdout.strip() == expected


def test_unset_falls_back_where_the_compiled_core_is_missing():
    assert python(HIDE + SAY).stdout.strip() == "pure"


@pytest.mark.parametrize("backend", CORES)
def test_forced(backend):
    assert python(SAY, backend).stdout.strip() == backend


def test_forcing_what_cannot_be_imported_raises():
    failed = python(HIDE + SAY, "compiled")
    assert failed.returncode != 0
    assert "ImportError" in failed.stderr or "ModuleNotFoundError" in failed.stderr


def test_a_name_that_is_none_raises():
    failed = python(SAY, "fast")
    assert failed.returncode != 0
    assert "CYREACTOR_BACKEND is 'fast'" in failed.stderr


def test_the_pure_core_never_loads_the_extension():
    loaded = python("import sys, cyreactor; print([m for m in sys.modules if '_compiled' in m])", "pure")
    assert loaded.stdout.strip() == "[]"
