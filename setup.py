"""The extension modules: all that pyproject.toml cannot say.

Which core is built:

* ``CYREACTOR_PURE=1``: the pure one alone, a ``py3-none-any`` wheel.
* ``CYREACTOR_COMPILED=1``: the compiled one too, or the build fails. Every wheel that is published for
  Linux is built so: one that came out pure would look like a compiled one.
* Neither: the compiled one wherever there is CPython on Linux. Out of a checkout it must build. Out of
  an sdist a user has pip at work, and perhaps no compiler: then one sentence says so and the pure core
  is installed, in a ``py3-none-any`` wheel. pip shows that sentence with ``-v``; ``cyreactor info`` and
  the first line of ``cyreactor serve`` name the core afterwards. It also keeps that wheel: once there is a
  compiler, ``pip install --no-cache-dir --force-reinstall cyreactor`` gets the compiled core.

``CYREACTOR_CFLAGS`` and ``CYREACTOR_LDFLAGS`` are for sanitizers and fuzzers.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# No debug information and no symbols: a wheel of a fifth of the size, and the same one on every machine.
COMPILE = os.environ.get("CYREACTOR_CFLAGS", "-O3 -g0").split()
LINK = os.environ.get("CYREACTOR_LDFLAGS", "-Wl,-s").split()

PURE = os.environ.get("CYREACTOR_PURE") == "1"
COMPILED = os.environ.get("CYREACTOR_COMPILED") == "1"
OPTIONAL = not COMPILED and Path("PKG-INFO").exists()  # which only an sdist has

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
}


class BuildCore(build_ext):
    """Translates and compiles all modules at once, when they are wanted and not before."""

    def finalize_options(self) -> None:
        if self.parallel is None:
            self.parallel = os.cpu_count()
        super().finalize_options()

    def build_extensions(self) -> None:
        if missing := missing_tool():
            raise SystemExit(f"cyreactor: {missing}; CYREACTOR_PURE=1 installs the pure-Python core alone")
        # Not at import: an sdist and a wheel's metadata need no C code.
        from Cython.Build import cythonize

        options = {"include_path": ["ext"], "build_dir": "build/cython", "compiler_directives": DIRECTIVES}
        translated = {module.name: module for module in cythonize(self.extensions, **options)}
        for extension in self.extensions:
            extension.sources = translated[extension.name].sources
            extension.depends = translated[extension.name].depends
        super().build_extensions()


def extension_modules() -> list[Extension]:
    """The compiled core's modules; none where it cannot or shall not be built."""
    if PURE and COMPILED:
        raise SystemExit("CYREACTOR_PURE and CYREACTOR_COMPILED exclude each other")
    if PURE or not wanted():
        return []
    return [
        Extension(
            f"cyreactor._compiled.{source.stem}",
            [str(source)],
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
            optional=OPTIONAL,
        )
        for source in sorted(Path("ext/cyreactor/_compiled").glob("*.pyx"))
    ]


def wanted() -> bool:
    """Whether this is the place for a compiled core."""
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        if COMPILED:
            raise SystemExit("CYREACTOR_COMPILED=1, but the compiled core is for CPython on Linux")
        return False
    if OPTIONAL and (missing := missing_tool()):
        print(f"cyreactor: {missing}; the pure-Python core is installed, which is slower", file=sys.stderr)
        return False
    return True


def missing_tool() -> str:
    """Asks the C compiler for the one header that matters, so that it says nothing about each module.

    It preprocesses and no more, which every compiler can: zig cc, that builds for other machines, fails to
    check syntax alone.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, f"-I{sysconfig.get_path('include')}", "-E", "-xc", "-"]
    try:
        tried = subprocess.run(command, input=b"#include <Python.h>\n", capture_output=True, check=False)
    except OSError:
        return f"there is no C compiler ({compiler[0]})"
    return f"{compiler[0]} finds no Python.h" if tried.returncode else ""


setup(ext_modules=extension_modules(), cmdclass={"build_ext": BuildCore})
