"""Parsers alone, without I/O, side by side: ``python bench/parsers.py [family ...]`` prints tables.

A family is a file parsers_FAMILY.py with a list ``CASES`` of ``(row, operations, {column: function})``: a
call of the function does that many operations. Calls of all columns take turns; a cell is the median, with
the distance of the farther quartile.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def measure(operations, functions, rounds, seconds):
    """Nanoseconds of an operation in each round, for each of the functions."""
    times = {column: [] for column in functions}
    calls = {column: calls_within(function, seconds) for column, function in functions.items()}
    for _ in range(rounds):
        for column, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[column]):
                function()
            times[column].append((time.perf_counter() - start) / calls[column] / operations * 1e9)
    return times


def calls_within(function, seconds):
    function()
    start = time.perf_counter()
    function()
    return max(1, int(seconds / (time.perf_counter() - start)))


def table(family, rounds, seconds):
    cases = importlib.import_module(f"parsers_{family}").CASES
    columns = list(dict.fromkeys(column for _, _, functions in cases for column in functions))
    print(f"| {family} | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|")
    for row, operations, functions in cases:
        found = measure(operations, functions, rounds, seconds)
        cells = [cell(found, column) for column in columns]
        print(f"| {row} | {' | '.join(cells)} |", flush=True)
    print()


def cell(found, column):
    if column not in found:
        return ""
    values, first = found[column], next(iter(found.values()))
    median = statistics.median(values)
    quarters = statistics.quantiles(values)
    off = max(quarters[2] - median, median - quarters[0]) / median
    return f"{median:.0f} ±{off:.0%} ({median / statistics.median(first):.2f})"


def main():
    families = sorted(path.stem.removeprefix("parsers_") for path in HERE.glob("parsers_*.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each (default: 15)")
    parser.add_argument("--seconds", type=float, default=0.02, help="of one measurement (default: 0.02)")
    parser.add_argument("families", nargs="*", help=f"of {', '.join(families)} (default: all)")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    gc.disable()
    print("Nanoseconds an operation, and the ratio to the first column:\n")
    for family in options.families or families:
        table(family, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
