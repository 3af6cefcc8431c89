"""The options of ``python -m cyreactor compare``; light, because the command line imports it always."""

from __future__ import annotations

import argparse
import math


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All that may be said about a comparison."""
    add = parser.add_argument
    add("--only", metavar="NAMES", help="these workloads, or those that begin so: echo,tls")
    add("--loops", metavar="NAMES", help="these columns; module:callable for any other loop")
    add("--base", metavar="NAME", default="asyncio", help="ratios are to this loop (default: %(default)s)")
    add("--quick", action="store_true", help="fewer workloads and rounds, about 20 seconds")
    add("--seconds", type=positive, help="of one measurement (default: what fits in two minutes)")
    add("--rounds", type=several, help="measurements of each (default: 5, --quick 3)")
    add("--json", metavar="FILE", help="write all figures there")
    add("--plot", metavar="FILE", help="draw them there: .svg, .png or .pdf")
    add("--list", action="store_true", help="show the workloads and the loops, measure nothing")
    add("--protocol", metavar="MODULE:CLASS", help="measure this protocol class on every loop")
    add("--request", metavar="FILE", help="what it is sent: any bytes, answered as a whole")


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def several(text: str) -> int:
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError("must be 2 or more: one round says nothing of its error")
    return value
