"""What becomes of the instructions that bench/instructions.py counts; counting itself needs valgrind."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def instructions():
    sys.path.insert(0, str(BENCH))
    try:
        return importlib.import_module("instructions")
    finally:
        sys.path.remove(str(BENCH))


def counts(compiled, pure=100, asyncio=200):
    return {"echo": {"compiled": compiled, "pure": pure, "asyncio": asyncio}}


HERE = {"interpreter": "3.12.1", "architecture": "x86_64"}
FOUND = {"3.12": {"place": HERE, "instructions": counts(100)}}


def test_every_row_is_recorded_for_both_cores_and_asyncio(instructions):
    titles = [row.title for row in instructions.ROWS]
    assert len(set(titles)) == len(titles)
    recorded = [found["instructions"] for found in instructions.records().values()]
    assert {title for rows in recorded for title in rows} == set(titles)
    assert all(set(row) == set(instructions.LABELS) for rows in recorded for row in rows.values())


@pytest.mark.parametrize(("compiled", "changes"), [(104, (0, 0)), (106, (1, 0)), (96, (0, 0)), (94, (0, 1))])
def test_a_twentieth_more_fails_and_a_twentieth_less_is_worth_recording(instructions, compiled, changes):
    compared = instructions.comparable(FOUND, "3.12", HERE)
    assert tuple(map(len, instructions.check(counts(compiled), *compared))) == changes


@pytest.mark.parametrize(("version", "most"), [("3.12", 114), ("3.14", 149)])
def test_elsewhere_the_proportion_to_asyncio_counts_and_within_wider_bounds(instructions, version, most):
    compared = instructions.comparable(FOUND, version, {**HERE, "interpreter": "another"})
    for compiled, dearer in [(most, 0), (most + 2, 1)]:
        counted = counts(3 * compiled, 300, 600)
        found = instructions.check(counted, *compared)
        assert (len(found[0]), found[1]) == (dearer, [])


def test_the_nearest_version_is_compared_with(instructions):
    found = {**FOUND, "3.9": {"place": {}, "instructions": counts(1)}}
    assert instructions.comparable(found, "3.13", {})[0] == counts(100)


def test_a_new_row_fails_where_everything_else_is_recorded(instructions):
    assert instructions.check(counts(1), {}, 1.05, True) == (["echo: was never recorded"], [])
    assert instructions.check(counts(1), {}, 1.5, False) == ([], [])


def test_what_callgrind_writes_is_read(instructions, tmp_path):
    dump = tmp_path / "counted.3"
    dump.write_text(
        "version: 1\ndesc: Trigger: Client Request: echo 1 KiB 2\n\nfn=(1)\n0 5\n\ntotals: 1234\n"
    )
    assert instructions.read_dump(dump) == ("echo 1 KiB 2", 1234)


def test_an_operation_is_what_twice_as_many_take_more(instructions):
    row = instructions.Row("lines", "own-lines", each=16, count=10)
    assert instructions.per_operation(row, {"lines 1": 5_000, "lines 2": 6_600}) == 10
