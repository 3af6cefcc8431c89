"""The package once more, its extension built with other flags: ``python -m fuzz.build FOLDER CC SANITIZERS``.

FOLDER/src is what goes first in PYTHONPATH. What did not change since the last time is not built again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ["setup.py", "pyproject.toml", "README.md", "LICENSE"]

# Python's own -fwrapv would hide overflows; an offset of nothing to a null pointer does no harm.
FLAGS = "-O1 -g -fno-omit-frame-pointer -fno-wrapv -fno-sanitize-recover=all -fno-sanitize=pointer-overflow"

# The modules whose branches lead a fuzzer: others would make it collect what the loop happens to do.
HTTP = ("http_lines", "http_head", "http_parser", "http", "http_exchange")
PARSERS = ("intake", "framing", *HTTP, "resp", "resp_encoding", "reader")


def build(folder: Path, compiler: str, sanitizers: str) -> None:
    """Build with a compiler's ``-fsanitize=`` option. Raises CalledProcessError where that fails."""
    not_ours = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    for name in ("src", "ext"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=not_ours)
    for name in FILES:
        shutil.copy2(ROOT / name, folder)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{os.cpu_count()}"]
    environment = {**os.environ, **options(folder, compiler, sanitizers)}
    subprocess.run(command, cwd=folder, env=environment, check=True)


def options(folder: Path, compiler: str, sanitizers: str) -> dict[str, str]:
    compile_flags, link_flags = f"-fsanitize={sanitizers} {FLAGS}", f"-fsanitize={sanitizers}"
    if "fuzzer" in sanitizers:
        traced = (folder / "traced").resolve()
        traced.write_text("fun:*\n" + "".join(f"src:*/{name}.c\n" for name in PARSERS))
        compile_flags += f" -fsanitize-coverage-allowlist={traced}"
        link_flags = "-g"  # what runs it has the sanitizers' library
    return {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "CYREACTOR_CFLAGS": compile_flags,
        "CYREACTOR_LDFLAGS": link_flags,
    }


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
