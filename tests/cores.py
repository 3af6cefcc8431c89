"""Both cores in one process, each a whole ``cyreactor`` of its own.

A package that was imported under one ``CYREACTOR_BACKEND`` keeps its core for good, so this imports
it once for each. The last one, which is the compiled one unless the run is meant for the pure core
alone, stays what ``import cyreactor`` gives. The pure core comes once more for each selector that is not
the platform's own.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType, SimpleNamespace

from selectors_kit import other_selectors

CORES = ["pure"] if os.environ.get("CYREACTOR_BACKEND") == "pure" else ["compiled", "pure"]


SELECTORS = other_selectors()


def load_core(name: str) -> ModuleType:
    """The package on the core, or on the selector, called ``name``; ImportError where there is none."""
    found = PACKAGES[name]
    if isinstance(found, ImportError):
        raise found
    return found


def _import(name: str) -> ModuleType | ImportError:
    for key in [key for key in sys.modules if key.split(".")[0] == "cyreactor"]:
        del sys.modules[key]
    os.environ["CYREACTOR_BACKEND"] = "pure" if name in SELECTORS else name
    try:
        package = importlib.import_module("cyreactor")
        importlib.import_module("cyreactor.cli")
        importlib.import_module("cyreactor.http")
        importlib.import_module("cyreactor.testing")
    except ImportError as exc:
        return exc
    if name in SELECTORS:
        package._backend.loop.selectors = SimpleNamespace(DefaultSelector=SELECTORS[name])
    return package


def _import_all() -> dict[str, ModuleType | ImportError]:
    before = os.environ.get("CYREACTOR_BACKEND")
    try:
        return {name: _import(name) for name in [*SELECTORS, *reversed(CORES)]}
    finally:
        del os.environ["CYREACTOR_BACKEND"]
        if before is not None:
            os.environ["CYREACTOR_BACKEND"] = before


PACKAGES = _import_all()
