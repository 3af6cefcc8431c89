"""What the rounds gave, and what may be said of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .peers import Peer
from .workloads import Metric, Workload

# Of one CPU's time: a load generator that used more was the limit, if the server used less.
BUSY = 0.95
IDLE = 0.90

# As in the load generators: of latencies below 128 ns each has its own bucket, above 64 share a doubling.
DIRECT = 128
PER_DOUBLING = 64


@dataclass(frozen=True)
class Sample:
    """One round. Times of one operation are in microseconds, shares are parts of one CPU."""

    throughput: float | None = None  # operations a second
    cpu: float | None = None  # of the server
    p50: float | None = None  # of one request, which may be several operations
    p99: float | None = None
    bytes: float | None = None  # of memory for each connection
    server_share: float | None = None
    generator_share: float | None = None
    lost: int = 0  # datagrams


class Spread(NamedTuple):
    """The median of the rounds, the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @property
    def relative(self) -> float:
        """How far the farthest round is from the median, as a part of it."""
        return max(self.high - self.median, self.median - self.low) / self.median if self.median else 0.0

    def overlaps(self, other: Spread) -> bool:
        return self.low <= other.high and other.low <= self.high


class Ratio(NamedTuple):
    """How many times better than the base; ``clear`` unless the rounds of the two overlap."""

    spread: Spread
    clear: bool


@dataclass
class Cell:
    """One loop in one workload."""

    samples: list[Sample] = field(default_factory=list)
    failure: str = ""  # in a word or two
    reason: str = ""

    def values(self, name: str) -> list[float]:
        found = [getattr(sample, name) for sample in self.samples]
        return [value for value in found if value is not None]

    def spread(self, name: str) -> Spread | None:
        """Of a metric; None without two rounds, because one says nothing of its error."""
        values = self.values(name)
        if len(values) < 2:
            return None
        return Spread(statistics.median(values), min(values), max(values))

    @property
    def generator_was_the_limit(self) -> bool:
        generator, server = self.values("generator_share"), self.values("server_share")
        return bool(
            generator and server and statistics.median(generator) > BUSY and statistics.median(server) < IDLE
        )


@dataclass
class Row:
    """One workload, with a cell for each loop; ``note`` is what was not as asked.

    ``seconds`` is the length of a round, ``shared`` says that server and load generator had one CPU.
    """

    workload: Workload
    cells: dict[Peer, Cell] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0
    shared: bool = False

    @property
    def metric(self) -> Metric:
        """What is compared: throughput, where the system does not tell the CPU time."""
        metric = self.workload.metric
        return metric if self.measured(metric) or metric == "bytes" else "throughput"

    @property
    def answered(self) -> bool:
        """Whether any loop could do it."""
        return any(cell.samples for cell in self.cells.values())

    def measured(self, metric: Metric) -> bool:
        """Whether any loop has it."""
        return any(cell.values(metric) for cell in self.cells.values())

    def ratio(self, peer: Peer, base: Peer, name: Metric | None = None) -> Ratio | None:
        """Of the medians of a metric, or of the one that is compared.

        Its spread is that of the rounds, taken one by one, so that what slows down both does not count.
        """
        metric = name or self.metric
        mine, other = self.cells.get(peer), self.cells.get(base)
        if mine is None or other is None:
            return None
        ours, theirs = mine.spread(metric), other.spread(metric)
        if ours is None or theirs is None:
            return None
        centre = better([ours.median], [theirs.median], metric)
        if not centre:
            return None
        values = centre + better(mine.values(metric), other.values(metric), metric)
        return Ratio(Spread(centre[0], min(values), max(values)), not ours.overlaps(theirs))


def better(mine: Sequence[float], other: Sequence[float], metric: Metric) -> list[float]:
    """How many times better in each round: more throughput, or less of anything else."""
    pairs = list(zip(mine, other, strict=False))
    if metric != "throughput":
        pairs = [(second, first) for first, second in pairs]
    return [first / second for first, second in pairs if second > 0]


def value_of(bucket: int) -> float:
    """The middle of a bucket, in nanoseconds."""
    if bucket < DIRECT:
        return float(bucket)
    shift, step = divmod(bucket - DIRECT, PER_DOUBLING)
    return float(((PER_DOUBLING + step) << (shift + 1)) + (1 << shift))


def quantile(histogram: Sequence[int], fraction: float) -> float | None:
    """The latency, in microseconds, that so large a part of the requests did not exceed; None without any."""
    rank = fraction * sum(histogram)
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if count and seen >= rank:
            return value_of(bucket) / 1e3
    return None
