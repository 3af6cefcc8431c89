"""The rounds: every loop of a workload, in an order that is another one each time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from . import targets
from .machine import Placement, affordable
from .peers import Peer, missing
from .processes import PeerError, Process
from .results import Cell, Row
from .schedule import Schedule
from .targets import Target
from .workloads import Workload

# Seconds of the round that warms up and is not counted, at most.
WARM_UP = 0.2

# What hears how far it got: the workload's number, the part of it that is done, what is being done.
Listener = Callable[[int, float, str], None]


@dataclass
class Comparison:
    """All rows, as far as they were measured."""

    workloads: Sequence[Workload]
    peers: Sequence[Peer]
    rounds: int
    schedule: Schedule
    placement: Placement
    rows: list[Row] = field(default_factory=list)
    left_out: list[Workload] = field(default_factory=list)  # there was no time for them
    generator_core: str = ""
    hopeless: dict[Peer, PeerError] = field(default_factory=dict)  # loops that do not start, and why

    def run(self, step: Listener, finished: Callable[[Row], None]) -> None:
        """Measure; ``finished`` gets each row. Interrupted, it leaves what there is in ``rows``."""
        chance = random.Random()
        with ExitStack() as stack:
            generator = self._generator(stack)
            for index, workload in enumerate(self.workloads):
                if index and not self.schedule.fits(index):
                    self.left_out.append(workload)
                    continue
                if not generator.alive:
                    generator = self._generator(stack)
                self._row(index, workload, generator, chance, step)
                finished(self.rows[-1])

    def _generator(self, stack: ExitStack) -> Process:
        generator = targets.generate(self.placement)
        stack.callback(generator.close)
        self.generator_core = generator.ask({"do": "core"}, 20.0)["core"]
        return generator

    def _row(
        self, index: int, workload: Workload, generator: Process, chance: random.Random, step: Listener
    ) -> None:
        workload, note = affordable(workload, self.rounds + 1)
        seconds = self.schedule.measurement(index)
        row = Row(workload, {peer: Cell() for peer in self.peers}, note, seconds, self.placement.shared)
        self.rows.append(row)
        started = time.monotonic()
        rounds = Rounds(
            row, generator, self.placement, self.hopeless, lambda part, doing: step(index, part, doing)
        )
        try:
            rounds.start()
            measuring = time.monotonic()
            rounds.run(self.rounds, seconds, chance)
            measuring = time.monotonic() - measuring
        finally:
            rounds.close()
        if workload.kind == "memory":
            measuring = 0.0
        self.schedule.done(workload, time.monotonic() - started, measuring)


class Rounds:
    """One workload on all loops; a loop that fails leaves with its reason, and the others go on."""

    def __init__(
        self,
        row: Row,
        generator: Process,
        placement: Placement,
        hopeless: dict[Peer, PeerError],
        step: Callable[[float, str], None],
    ) -> None:
        self.row, self.generator, self.placement = row, generator, placement
        self.hopeless, self.step = hopeless, step
        self.targets: list[Target] = []

    def start(self) -> None:
        """All servers begin to start at once, then each is waited for and asked once."""
        self.step(0.0, "starting")
        for peer in self.row.cells:
            why = inapplicable(self.row.workload, peer) or missing(peer)
            if why:
                self._fail(peer, PeerError("n/a" if not peer.module else "missing", why))
            elif peer in self.hopeless:  # it would take as long again
                self._fail(peer, self.hopeless[peer])
            else:
                self.targets.append(targets.start(self.row.workload, peer, self.placement, self.generator))
        self._each(self.targets, 0.05, lambda target: target.get_ready())

    def run(self, rounds: int, seconds: float, chance: random.Random) -> None:
        if self.row.workload.kind != "memory":
            self._each(self.targets, 0.1, lambda target: self._warm_up(target, seconds))
        for number in range(rounds):
            order = chance.sample(self.targets, len(self.targets))
            self._each(order, 0.15 + 0.85 * number / rounds, lambda target: self._round(target, seconds))

    def _warm_up(self, target: Target, seconds: float) -> None:
        target.round(min(seconds, WARM_UP))

    def _round(self, target: Target, seconds: float) -> None:
        self.row.cells[target.peer].samples.append(target.round(seconds))

    def _each(self, order: Sequence[Target], part: float, act: Callable[[Target], None]) -> None:
        for target in list(order):
            self.step(part, target.peer.name)
            try:
                act(target)
            except PeerError as exc:
                self.targets.remove(target)
                if not target.port and exc.short == "timed out":
                    self.hopeless[target.peer] = exc
                self._fail(target.peer, exc)
                target.close()

    def _fail(self, peer: Peer, exc: PeerError) -> None:
        if self.row.workload.tls and exc.short == "cannot":
            exc = PeerError("no TLS", f"the loop has no TLS ({exc})")
        self.row.cells[peer] = Cell(failure=exc.short, reason=str(exc))

    def close(self) -> None:
        for target in self.targets:
            target.close()


def inapplicable(workload: Workload, peer: Peer) -> str:
    """Why it makes no sense to ask; empty where it does."""
    if peer.program:
        echoes = workload.server == "echo" and not workload.tls
        return "" if echoes else "the program does nothing but echo"
    if peer.module:
        return ""
    if workload.kind == "inside":
        return "threads have no loop"
    return "a protocol class needs a loop" if ":" in workload.server else ""
