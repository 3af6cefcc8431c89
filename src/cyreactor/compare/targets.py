"""A loop in a workload: its server, what asks it, and one round of measuring."""

from __future__ import annotations

import base64
import json
from typing import Any

from . import probe
from .machine import Placement
from .peers import Peer
from .processes import PeerError, Process, environment, python
from .results import Sample, quantile
from .workloads import Workload

# Seconds without an answer after which a server has failed.
PATIENCE = 5.0

# Seconds in which at least one request must be answered.
LONGEST_TRY = 2.0


class Target:
    """Starts the server at once; ``get_ready`` waits for it. What fails raises PeerError."""

    port = 0  # until it said one

    def __init__(self, workload: Workload, peer: Peer, placement: Placement) -> None:
        self.workload, self.peer = workload, peer
        specification = {
            "server": workload.server, "kind": workload.kind, "tls": workload.tls,
            "factory": peer.factory, "ours": peer.ours, "cpu": placement.server,
        }  # fmt: skip
        command = python("serve", json.dumps(specification))
        if peer.program:
            command = [peer.program, argument(placement.server)]
        self.server = Process(command, environment(peer.core))

    def get_ready(self) -> None:
        self.port = self.server.answer()["port"]

    def round(self, seconds: float) -> Sample:
        raise NotImplementedError

    def close(self) -> None:
        self.server.close()


class Inside(Target):
    """A loop that is measured without any connection, by itself."""

    def round(self, seconds: float) -> Sample:
        said = self.server.ask(seconds, seconds + PATIENCE)
        share = said["cpu"] / said["seconds"]
        return Sample(
            throughput=said["operations"] / said["seconds"],
            cpu=said["cpu"] / said["operations"] * 1e6,
            server_share=share,
        )


class Asked(Target):
    """A server, and the generator that asks it.

    With idle connections it has one of its own: all of them together are too many descriptors for one.
    """

    def __init__(self, workload: Workload, peer: Peer, placement: Placement, generator: Process) -> None:
        super().__init__(workload, peer, placement)
        self.shares = not workload.idle
        self.generator = generator if self.shares else generate(placement)
        self.key = f"{workload.name} {peer.name}"

    def command(self, do: str, timeout: float = 60.0, **arguments: Any) -> dict[str, Any]:
        try:
            return self.generator.ask({"do": do, "key": self.key, **arguments}, timeout)
        except PeerError as exc:
            raise self.server.explain(exc) from None

    def answer_size(self) -> int:
        """Asks for the first time."""
        try:
            return probe.answer_size(self.port, self.workload)
        except PeerError as exc:
            raise self.server.explain(exc) from None

    def close(self) -> None:
        super().close()
        if not self.shares:
            self.generator.close()
            return
        try:
            self.generator.ask({"do": "close", "key": self.key}, PATIENCE)
        except PeerError:
            pass


class Traffic(Asked):
    """Answers requests."""

    shortest = 0.0  # seconds in which it answers any

    def get_ready(self) -> None:
        super().get_ready()
        workload = self.workload
        expect = self.answer_size()
        if workload.idle:
            self.command("hold", port=self.port, count=workload.idle)
        self.command(
            "open",
            kind="tls" if workload.tls else workload.kind, port=self.port, count=workload.connections,
            request=base64.b64encode(workload.request).decode(), expect=expect,
        )  # fmt: skip

    def round(self, seconds: float) -> Sample:
        seconds = max(seconds, self.shortest)
        before = self.server.cpu()
        said = self.command("run", seconds + PATIENCE + 5.0, seconds=seconds, patience=PATIENCE)
        after = self.server.cpu()
        if not said["completed"]:  # slow, or both had no CPU for so long: another try, if it makes sense
            if seconds >= LONGEST_TRY:
                raise PeerError("too slow", f"no request was answered within {seconds:.2g} seconds")
            self.shortest = LONGEST_TRY
            return self.round(seconds)
        used = None if before is None or after is None else after - before
        total = said["total"] * self.workload.operations
        p50, p99 = (quantile(said["histogram"], fraction) for fraction in (0.50, 0.99))
        return Sample(
            throughput=said["completed"] * self.workload.operations / seconds,
            cpu=None if used is None else used / total * 1e6,
            p50=p50,
            p99=p99,
            server_share=None if used is None else used / seconds,
            generator_share=said["cpu"] / seconds,
            lost=said["lost"],
        )


class Memory(Asked):
    """Holds idle connections: each round opens more of them."""

    def get_ready(self) -> None:
        super().get_ready()
        if self.server.memory() is None:
            raise PeerError("not measured", "this system does not tell a process's memory (Linux does)")
        self.answer_size()
        self.command("hold", port=self.port, count=self.workload.idle)  # fills what a server keeps in stock

    def round(self, seconds: float) -> Sample:
        before = self.server.memory()
        self.command("hold", port=self.port, count=self.workload.idle)
        after = self.server.memory()
        if before is None or after is None:
            raise self.server.ended()
        return Sample(bytes=(after - before) / self.workload.idle)


def generate(placement: Placement) -> Process:
    """A load generator; it says on which core once it is asked."""
    return Process(python("generate", argument(placement.generator)), environment())


def argument(cpu: int | None) -> str:
    """A CPU as an argument, empty where the system chooses."""
    return "" if cpu is None else str(cpu)


def start(workload: Workload, peer: Peer, placement: Placement, generator: Process) -> Target:
    """A target of the kind that the workload asks for."""
    if workload.kind == "inside":
        return Inside(workload, peer, placement)
    kind = Memory if workload.kind == "memory" else Traffic
    return kind(workload, peer, placement, generator)
