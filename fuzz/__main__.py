"""``python -m fuzz TARGET SECONDS``: build with clang, fuzz, and keep what reaches new branches.

Needs Linux, clang and the extra ``fuzz``. An input that fails is written to ``build/fuzz/found``, and
``python -m fuzz TARGET FILE`` runs that one alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from .build import ROOT, build

FOLDER = ROOT / "build" / "fuzz"
LONGEST = 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", help="the name of a module here")
    parser.add_argument("what", help="seconds to run for, or a file to run")
    arguments = parser.parse_args()
    build(FOLDER, "clang", "address,undefined,fuzzer-no-link")
    if not arguments.what.isdigit():
        return run(arguments.target, arguments.what)
    return fuzz(arguments.target, int(arguments.what))


def fuzz(target: str, seconds: int) -> int:
    kept = ROOT / "tests" / "corpus" / target
    found, grown = (FOLDER / name / target for name in ("found", "corpus"))
    for folder in (kept, found, grown):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={found}/"]
    words = ROOT / "fuzz" / f"{target}.dict"
    if words.exists():
        options.append(f"-dict={words}")
    code = run(target, *options, "-print_final_stats=1", str(grown), str(kept))
    if code:
        return code
    # By edges alone: what differs only in how often it passes them is not kept.
    return run(target, "-set_cover_merge=1", "-use_counters=0", str(kept), str(grown))


def run(target: str, *options: str) -> int:
    import atheris

    environment = {
        "LD_PRELOAD": str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        "PYTHONPATH": os.pathsep.join([str(FOLDER / "src"), str(ROOT / "tests")]),
        "PYTHONMALLOC": "malloc",  # the sanitizer's own: it sees every object
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=8:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [sys.executable, "-m", "fuzz.run_target", target, *options]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
