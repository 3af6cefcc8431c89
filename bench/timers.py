"""How late short timers are: ``python bench/timers.py`` prints a table.

A cell is the median and the 99th percentile of the lateness, in µs, of one timer after another on a loop
that has nothing else to do; and the share of those that came early, where there were any. The loops are
measured in turn, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time

from processes import LOOPS, available, core_of
from servers import run_on

DELAYS = (0.0001, 0.0005)
ROUNDS, TIMERS = 5, 400


async def by_call_later(delay, count):
    """Seconds after its deadline that each of them came."""
    loop = asyncio.get_running_loop()
    late = []
    for _ in range(count):
        came = loop.create_future()
        start = time.perf_counter()
        loop.call_later(delay, lambda came=came: came.set_result(time.perf_counter()))
        late.append(await came - start - delay)
    return late


async def by_sleep(delay, count):
    late = []
    for _ in range(count):
        start = time.perf_counter()
        await asyncio.sleep(delay)
        late.append(time.perf_counter() - start - delay)
    return late


WAYS = {"call_later": by_call_later, "asyncio.sleep": by_sleep}


async def measure(way, delay):
    await WAYS[way](delay, 10)
    print(*await WAYS[way](delay, TIMERS))


def measured(label, way, delay):
    command = [sys.executable, __file__, LOOPS[label][0], way, str(delay)]
    environment = {**os.environ, **core_of(label)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def cell(late):
    cuts = statistics.quantiles(late, n=100)
    early = sum(one < 0 for one in late) / len(late)
    return f"{cuts[49] * 1e6:.0f} · {cuts[98] * 1e6:.0f}" + (f" · {early:.0%} early" if early else "")


def main():
    labels = available()
    print(f"| | {' | '.join(labels)} |\n|---{'|---:' * len(labels)}|")
    for way in WAYS:
        for delay in DELAYS:
            late = {label: [] for label in labels}
            for _ in range(ROUNDS):
                for label in labels:
                    late[label] += measured(label, way, delay)
            cells = [cell(late[label]) for label in labels]
            print(f"| {way}, {delay * 1e3:g} ms | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        run_on(sys.argv[1], measure(sys.argv[2], float(sys.argv[3])))
