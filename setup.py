"""The list of extension modules: all that pyproject.toml cannot say."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

# A sanitizer or a fuzzer wants other ones.
COMPILE = os.environ.get("CYREACTOR_CFLAGS", "-O3 -g0").split()
LINK = os.environ.get("CYREACTOR_LDFLAGS", "-Wl,-s").split()


def extension_modules() -> list[Extension]:
    if os.environ.get("CYREACTOR_PURE") == "1" or sys.platform != "linux":
        return []
    from Cython.Build import cythonize

    sources = sorted(Path("ext/cyreactor/_compiled").glob("*.pyx"))
    extensions = [
        Extension(
            f"cyreactor._compiled.{source.stem}",
            [str(source)],
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
        )
        for source in sources
    ]
    return cythonize(
        extensions,
        include_path=["ext"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "embedsignature": True,
        },
    )


setup(ext_modules=extension_modules())
