"""Runs the suite on an installed cyreactor: ``python tools/installed.py compiled|pure [pytest's arguments]``.

In a folder with the tests and what they read, and without ``src``: an unpacked sdist less that, or what
``test-sources`` in pyproject.toml names. First of all it makes sure of what is tested: a wheel whose
extension cannot be imported falls back to the pure core without a word.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def main() -> None:
    core, *arguments = sys.argv[1:]
    os.environ.pop("CYREACTOR_BACKEND", None)
    check(core)
    os.environ["CYREACTOR_BACKEND"] = core
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        os.environ["PYTHON_GIL"] = "1"  # as it is by now, but without a warning in each process
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", *arguments]))


def check(core: str) -> None:
    """Exit unless what is installed runs, on the core that it should choose by itself."""
    import cyreactor

    where = Path(cyreactor.__file__).parent
    if where.parent not in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}:
        raise SystemExit(f"{where} is not an installed package")
    if cyreactor.backend != core:
        raise SystemExit(f"{where} runs on the {cyreactor.backend} core, not on the {core} one")
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if core == "compiled" and not gil:
        raise SystemExit("the compiled core has not asked for the GIL, and it needs it")
    said = f"{core} core, Python {sys.version.split()[0]}, {'with' if gil else 'without'} GIL"
    print(f"{where}: {said}", flush=True)


if __name__ == "__main__":
    main()
