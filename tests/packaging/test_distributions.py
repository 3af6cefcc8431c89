"""What setup.py builds, where; and what pyproject.toml says of the wheels that are published."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(source.stem for source in ROOT.glob("ext/cyreactor/_compiled/*.pyx"))


class FakeBuild:
    """Stands for setuptools' command, which an environment may not have."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout, on Linux and CPython, with a compiler that takes everything."""
    shutil.copy(ROOT / "setup.py", tmp_path)
    shutil.copytree(ROOT / "ext", tmp_path / "ext")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.implementation, "name", "cpython")
    monkeypatch.setenv("CC", "true")
    for name in ("CYREACTOR_PURE", "CYREACTOR_COMPILED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def sdist(folder):
    """The same as pip unpacks it from an sdist."""
    (folder / "PKG-INFO").touch()
    return folder


@pytest.fixture
def setup(monkeypatch):
    """Runs setup.py in the current folder; returns what it gives to setuptools."""
    found = {}
    package, command = ModuleType("setuptools"), ModuleType("setuptools.command.build_ext")
    package.Extension = lambda name, sources, **options: SimpleNamespace(name=name, **options)
    package.setup = lambda **options: found.update(options)
    command.build_ext = FakeBuild
    for module in (package, ModuleType("setuptools.command"), command):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def run():
        runpy.run_path("setup.py")
        return found

    return run


def names(found):
    return [module.name.removeprefix("cyreactor._compiled.") for module in found["ext_modules"]]


def test_a_checkout_builds_every_module_or_fails(folder, setup):
    found = setup()
    assert names(found) == MODULES
    assert not any(module.optional for module in found["ext_modules"])


def test_a_checkout_without_a_compiler_fails_in_one_sentence(folder, setup, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(SystemExit, match=r"^cyreactor: there is no C compiler .*; CYREACTOR_PURE=1"):
        setup()["cmdclass"]["build_ext"]().build_extensions()


def test_an_sdist_does_what_it_can(sdist, setup):
    found = setup()
    assert names(found) == MODULES
    assert all(module.optional for module in found["ext_modules"])


@pytest.mark.parametrize(
    ("compiler", "missing"),
    [("no-such-compiler", "there is no C compiler (no-such-compiler)"), ("false", "false finds no Python.h")],
)
def test_an_sdist_without_a_compiler_gives_the_pure_core_and_one_sentence(
    sdist, setup, monkeypatch, capfd, compiler, missing
):
    monkeypatch.setenv("CC", compiler)
    assert names(setup()) == []
    said = capfd.readouterr().err
    assert said == f"cyreactor: {missing}; the pure-Python core is installed, which is slower\n"


def test_the_pure_core_alone(folder, setup, monkeypatch):
    monkeypatch.setenv("CYREACTOR_PURE", "1")
    assert names(setup()) == []


@pytest.mark.parametrize(("platform", "implementation"), [("darwin", "cpython"), ("linux", "pypy")])
def test_elsewhere_the_core_is_pure(folder, setup, monkeypatch, platform, implementation):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys.implementation, "name", implementation)
    assert names(setup()) == []
    monkeypatch.setenv("CYREACTOR_COMPILED", "1")
    with pytest.raises(SystemExit, match="CPython on Linux"):
        setup()


def test_a_wheel_that_must_be_compiled_is_never_pure(sdist, setup, monkeypatch):
    monkeypatch.setenv("CYREACTOR_COMPILED", "1")
    monkeypatch.setenv("CC", "no-such-compiler")
    found = setup()
    assert names(found) == MODULES
    assert not any(module.optional for module in found["ext_modules"])
    with pytest.raises(SystemExit, match="no C compiler"):
        found["cmdclass"]["build_ext"]().build_extensions()


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_each_python_that_is_named_has_a_wheel(project):
    named = re.findall(r"Python :: 3\.(\d+)", "\n".join(project["project"]["classifiers"]))
    built = {re.sub("t?-.*", "", name) for name in project["tool"]["cibuildwheel"]["build"]}
    assert named
    assert built == {f"cp3{minor}" for minor in named}


def test_wheels_are_tried_where_the_source_cannot_be_imported(project):
    wheels = project["tool"]["cibuildwheel"]
    assert "src" not in wheels["test-sources"]
    assert all((ROOT / name).exists() for name in wheels["test-sources"])
    assert wheels["test-command"] == "python tools/installed.py compiled"
    assert wheels["environment"]["CYREACTOR_COMPILED"] == "1"
