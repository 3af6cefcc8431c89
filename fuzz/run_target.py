"""The process that libFuzzer runs in: ``python -m fuzz.run_target TARGET OPTION... CORPUS...``.

The compiled code alone leads the search: to trace the pure twin as well costs two thirds of the speed.
"""

from __future__ import annotations

import importlib
import sys

import atheris

target = importlib.import_module(f"fuzz.{sys.argv[1]}")
# To merge, libFuzzer has a shell run what is in the first place.
atheris.Setup([f"{sys.executable} -m {__spec__.name} {sys.argv[1]}", *sys.argv[2:]], target.check)
atheris.Fuzz()
