"""How the time that a comparison may take is divided among what is measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .workloads import Workload

# Seconds that a whole comparison aims at, --quick or not. What is not begun when so much more is over
# is left out: on a busy machine starting alone takes longer than was planned.
BUDGET = 95.0
QUICK_BUDGET = 17.0
GRACE = 1.2

# Seconds of one measurement: below, too few requests for a percentile; above, nothing is gained.
SHORTEST = 0.03
LONGEST = 1.0

# First guesses, in seconds, of what comes beside the measuring: a server's start, an idle connection.
STARTING = 0.2
CONNECTING = 0.0001


@dataclass
class Schedule:
    """Says how long to measure, from what is left of the time, and what is left of the work."""

    workloads: Sequence[Workload]
    peers: int
    rounds: int
    budget: float
    seconds: float | None = None  # of one measurement, where the user says so
    started: float = field(default_factory=time.monotonic)
    beside: float = 0.0  # spent beside the measuring, and what had been guessed of it
    guessed: float = 0.0

    def measurement(self, index: int) -> float:
        """Seconds of each measurement of that workload."""
        if self.seconds is not None:
            return self.seconds
        left = self.started + self.budget - time.monotonic()
        waiting = self.workloads[index:]
        left -= self.slowness * sum(self.overhead(workload) for workload in waiting)
        measurements = self.peers * (self.rounds + 1) * sum(workload.kind != "memory" for workload in waiting)
        return min(max(left / max(measurements, 1), SHORTEST), LONGEST)

    def fits(self, index: int) -> bool:
        """Whether there is time for that workload, with measurements as short as they may be."""
        if self.seconds is not None:
            return True
        left = self.started + self.budget * GRACE - time.monotonic()
        return self.length(self.workloads[index], SHORTEST) <= left

    def overhead(self, workload: Workload) -> float:
        """A guess at the seconds beside the measuring."""
        connections = workload.idle * (self.rounds + 1 if workload.kind == "memory" else 1)
        return self.peers * (STARTING + CONNECTING * connections)

    @property
    def slowness(self) -> float:
        """How wrong the guesses were so far."""
        return self.beside / self.guessed if self.guessed else 1.0

    def done(self, workload: Workload, seconds: float, measured: float) -> None:
        """A workload took so many seconds, of which so many were spent measuring."""
        self.beside += max(seconds - measured, 0.0)
        self.guessed += self.overhead(workload)

    def length(self, workload: Workload, measurement: float) -> float:
        """Seconds that a workload will take."""
        measuring = 0.0 if workload.kind == "memory" else self.peers * (self.rounds + 1) * measurement
        return measuring + self.slowness * self.overhead(workload)

    def left(self, index: int, part: float) -> float:
        """Seconds until the end, with that part of workload ``index`` done."""
        measurement = self.measurement(index)
        lengths = [self.length(workload, measurement) for workload in self.workloads[index:]]
        return lengths[0] * (1.0 - part) + sum(lengths[1:])
