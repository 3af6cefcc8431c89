"""Audits what is about to be published: ``python tools/audit.py FOLDER`` (needs tools/requirements.txt).

Each wheel is the pure one for everybody, or a manylinux2014 or musllinux_1_2 one with the whole compiled
core in it and no symbol of a newer glibc; names, contents and descriptions are what PyPI and pip expect.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = {source.stem for source in ROOT.glob("ext/cyreactor/_compiled/*.pyx")}
PLATFORM = re.compile(
    r"any|manylinux2014_(x86_64|aarch64)\.manylinux_2_17_\1|musllinux_1_2_(x86_64|aarch64)"
)
NEWEST_GLIBC = (2, 17)  # what manylinux2014 promises to run on


def main() -> None:
    [folder] = sys.argv[1:]
    audit(Path(folder))


def audit(folder: Path) -> None:
    """Check every distribution in a folder; exits with a sentence where one is not as it should be."""
    files = sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])
    wheels = [path for path in files if path.suffix == ".whl"]
    if not wheels:
        raise SystemExit(f"no wheel in {folder}")
    for path in wheels:
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {check_wheel(path)}", flush=True)
    subprocess.run([sys.executable, "-m", "check_wheel_contents", *map(str, wheels)], check=True)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=True)


def check_wheel(path: Path) -> str:
    """Refuse a wheel that is not what its name says; returns what it is."""
    platform = path.stem.rpartition("-")[2]
    if not PLATFORM.fullmatch(platform):
        raise SystemExit(f"{path.name} is for none of the platforms that are published")
    with zipfile.ZipFile(path) as wheel:
        binaries = {name: wheel.read(name) for name in wheel.namelist() if name.endswith(".so")}
    expected = set() if platform == "any" else MODULES
    if {Path(name).name.partition(".")[0] for name in binaries} != expected:
        raise SystemExit(f"{path.name} has not the modules {sorted(expected)}")
    newest = max((version for code in binaries.values() for version in glibc(code)), default=None)
    if newest is None:
        return "pure" if not binaries else "no glibc"
    if "manylinux" not in platform or newest > NEWEST_GLIBC:
        raise SystemExit(f"{path.name} needs glibc {newest[0]}.{newest[1]}")
    return f"glibc {newest[0]}.{newest[1]}"


def glibc(binary: bytes) -> list[tuple[int, ...]]:
    """The versions of glibc that a binary's symbols are of: their names stand in it in plain text."""
    return [tuple(map(int, found.split(b"."))) for found in re.findall(rb"GLIBC_([0-9.]+)\0", binary)]


if __name__ == "__main__":
    main()
