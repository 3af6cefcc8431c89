"""Both cores in one process, each a whole ``cyreactor`` of its own.

A package that was imported under one ``CYREACTOR_BACKEND`` keeps its core for good, so this imports
it once for each. The last one, which is the compiled one unless the run is meant for the pure core
alone, stays what ``import cyreactor`` gives.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

CORES = ["pure"] if os.environ.get("CYREACTOR_BACKEND") == "pure" else ["compiled", "pure"]


def load_core(name: str) -> ModuleType:
    """The package on the core called ``name``; raises ImportError where it cannot be imported."""
    found = PACKAGES[name]
    if isinstance(found, ImportError):
        raise found
    return found


def _import(name: str) -> ModuleType | ImportError:
    for key in [key for key in sys.modules if key.split(".")[0] == "cyreactor"]:
        del sys.modules[key]
    os.environ["CYREACTOR_BACKEND"] = name
    try:
        package = importlib.import_module("cyreactor")
        importlib.import_module("cyreactor.cli")
        importlib.import_module("cyreactor.http")
    except ImportError as exc:
        return exc
    return package


def _import_all() -> dict[str, ModuleType | ImportError]:
    before = os.environ.get("CYREACTOR_BACKEND")
    try:
        return {name: _import(name) for name in reversed(CORES)}
    finally:
        del os.environ["CYREACTOR_BACKEND"]
        if before is not None:
            os.environ["CYREACTOR_BACKEND"] = before


PACKAGES = _import_all()
