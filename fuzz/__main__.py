"""``python -m fuzz TARGET SECONDS``: build with clang, fuzz, and keep what reaches new branches.

Needs Linux, clang and the extra ``fuzz``. An input that fails is written to ``build/fuzz/found``, and
``python -m fuzz TARGET FILE`` runs that one alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from .build import ROOT, build

TARGETS = ("framing", "http", "http_server", "resp", "streams")
FOLDER = ROOT / "build" / "fuzz"
LONGEST = 1024  # bytes of an input
ATHERIS = find_spec("atheris")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("what", help="seconds to run for, or a file to run")
    arguments = parser.parse_args()
    if shutil.which("clang") is None or ATHERIS is None:
        parser.error("needs clang, and the package's extra 'fuzz'")
    seconds = int(arguments.what) if arguments.what.isdecimal() else None
    if seconds is None and not Path(arguments.what).is_file():
        parser.error(f"{arguments.what} is neither a number of seconds nor a file")
    build(FOLDER, "clang", "address,undefined,fuzzer-no-link")
    if seconds is None:
        return run(arguments.target, arguments.what)
    return fuzz(arguments.target, seconds)


def fuzz(target: str, seconds: int) -> int:
    kept = ROOT / "tests" / "corpus" / target
    found, grown = (FOLDER / name / target for name in ("found", "corpus"))
    for folder in (kept, found, grown):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={found}/"]
    words = ROOT / "fuzz" / f"{target.partition('_')[0]}.dict"
    if words.exists():
        options.append(f"-dict={words}")
    code = run(target, *options, "-print_final_stats=1", str(grown), str(kept))
    if code:
        return code
    # By edges alone: what differs only in how often it passes them is not kept.
    return run(target, "-set_cover_merge=1", "-use_counters=0", str(kept), str(grown))


def run(target: str, *options: str) -> int:
    environment = {
        "LD_PRELOAD": str(Path(ATHERIS.origin).parents[1] / "asan_with_fuzzer.so"),
        "PYTHONPATH": os.pathsep.join([str(FOLDER / "src"), str(ROOT / "tests")]),
        "PYTHONMALLOC": "malloc",  # the sanitizer's own: it sees every object
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=8:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [sys.executable, "-m", "fuzz.run_target", target, *options]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
