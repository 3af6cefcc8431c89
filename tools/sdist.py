"""Makes the sdist: ``python tools/sdist.py FOLDER``.

Of the files that git tracks, as they are now, and nothing else that lies about. Its members are sorted
and bear one date, ``SOURCE_DATE_EPOCH`` or that of the last commit, so the same sources give the same
bytes. Whatever a tracked file is for, it is in there: the tests run out of an unpacked sdist.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The repository's own affairs.
LEFT_OUT = (".ci/", ".github/", ".gitignore")


def main() -> None:
    [folder] = sys.argv[1:]
    print(make(Path(folder)))


def make(folder: Path) -> Path:
    """Build the sdist into a folder; returns its path."""
    date_everything()
    with tempfile.TemporaryDirectory() as temporary:
        copy, built = Path(temporary, "copy"), Path(temporary, "built")
        for name in tracked():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        command = [sys.executable, "-m", "build", "--sdist", "--outdir", str(built), str(copy)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        [archive] = built.iterdir()
        check_complete(archive)
        folder.mkdir(parents=True, exist_ok=True)
        redate(archive, folder / archive.name, int(os.environ["SOURCE_DATE_EPOCH"]))
    return folder / archive.name


def date_everything() -> None:
    """Set ``SOURCE_DATE_EPOCH``, for this process and those it starts."""
    if "SOURCE_DATE_EPOCH" not in os.environ:
        os.environ["SOURCE_DATE_EPOCH"] = git("log", "-1", "--format=%ct").strip()


def tracked() -> list[str]:
    return [name for name in git("ls-files", "-z").split("\0") if name and (ROOT / name).is_file()]


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def check_complete(archive: Path) -> None:
    with tarfile.open(archive) as members:
        names = {member.name.partition("/")[2] for member in members}
    if missing := [name for name in tracked() if name not in names and not name.startswith(LEFT_OUT)]:
        raise SystemExit(f"MANIFEST.in leaves out {', '.join(missing)}")


def redate(source: Path, target: Path, epoch: int) -> None:
    """Copy a .tar.gz: its members in order, of nobody, all of one date."""
    with (
        tarfile.open(source) as old,
        open(target, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old, key=lambda member: member.name):
            member.mtime, member.pax_headers = epoch, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)


if __name__ == "__main__":
    main()
