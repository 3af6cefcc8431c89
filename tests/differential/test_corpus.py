"""What the fuzzers found goes through their targets again: an input for each branch, and what once failed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"


def fuzz(name):
    """A module of the folder beside the package, which is not installed."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"fuzz.{name}")
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture(scope="module", autouse=True)
def _loops():
    yield
    fuzz("harness").close_loops()


@pytest.mark.parametrize("target", sorted(path.name for path in CORPUS.iterdir()))
def test_inputs_of(target):
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for path in inputs:
        fuzz(target).check(path.read_bytes())
