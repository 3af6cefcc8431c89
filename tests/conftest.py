"""Every test that takes the fixture ``core`` runs on both cores, each a whole ``cyreactor`` of its own.

A package that was imported under one ``CYREACTOR_BACKEND`` keeps its core for good, so the suite
imports it once for each. Nothing is skipped: where the compiled core is missing its tests fail,
unless the whole run is meant for the pure core (``CYREACTOR_BACKEND=pure``).
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from types import ModuleType

import pytest

CORES = ["pure"] if os.environ.get("CYREACTOR_BACKEND") == "pure" else ["compiled", "pure"]


@cache
def load_core(name: str) -> ModuleType:
    """A private copy of the package, on the core called ``name``."""

    def is_ours(module: str) -> bool:
        return module == "cyreactor" or module.startswith("cyreactor.")

    others = {key: sys.modules.pop(key) for key in list(sys.modules) if is_ours(key)}
    before = os.environ.get("CYREACTOR_BACKEND")
    os.environ["CYREACTOR_BACKEND"] = name
    try:
        package = importlib.import_module("cyreactor")
        for module in ("framing", "protocols", "reactor", "server"):
            importlib.import_module(f"cyreactor.{module}")
    finally:
        if before is None:
            del os.environ["CYREACTOR_BACKEND"]
        else:
            os.environ["CYREACTOR_BACKEND"] = before
        for key in [key for key in sys.modules if is_ours(key)]:
            del sys.modules[key]
        sys.modules.update(others)
    return package


@pytest.fixture(scope="session", params=CORES)
def core(request: pytest.FixtureRequest) -> ModuleType:
    """The package on the compiled, then on the pure core."""
    package = load_core(request.param)
    assert package.backend == request.param
    return package
