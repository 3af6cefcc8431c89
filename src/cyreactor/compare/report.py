"""The results as JSON; ``docs/comparing.md`` describes each field."""

from __future__ import annotations

import dataclasses
from typing import Any

from . import machine
from .measure import Comparison
from .peers import Peer, version
from .results import Cell, Row

SCHEMA = 1
METRICS = ("throughput", "cpu", "p50", "p99", "bytes")


def document(comparison: Comparison, base: Peer, interrupted: bool) -> dict[str, Any]:
    """All that was measured, round by round, and what the table says of it."""
    return {
        "schema": SCHEMA,
        "machine": machine.facts(),
        "loops": {peer.name: version(peer) for peer in comparison.peers},
        "method": {
            "rounds": comparison.rounds,
            "base": base.name,
            "placement": comparison.placement.note,
            "load_generator": comparison.generator_core,
            "interrupted": interrupted,
            "left_out": [workload.name for workload in comparison.left_out],
        },
        "workloads": [row_of(row, base) for row in comparison.rows],
    }


def row_of(row: Row, base: Peer) -> dict[str, Any]:
    workload = row.workload
    return {
        "name": workload.name,
        "title": workload.title,
        "metric": row.metric,
        "connections": workload.connections,
        "idle": workload.idle,
        "operations_per_request": workload.operations,
        "code": workload.code,
        "note": row.note,
        "seconds": row.seconds,
        "results": {peer.name: cell_of(row, cell, peer, base) for peer, cell in row.cells.items()},
    }


def cell_of(row: Row, cell: Cell, peer: Peer, base: Peer) -> dict[str, Any]:
    ratio = row.ratio(peer, base)
    spreads = {name: cell.spread(name) for name in METRICS}
    return {
        "failure": cell.failure,
        "reason": cell.reason,
        "summary": {name: spread._asdict() for name, spread in spreads.items() if spread},
        "ratio": None if ratio is None else {**ratio.spread._asdict(), "clear": ratio.clear},
        "generator_was_the_limit": cell.generator_was_the_limit,
        "rounds": [dataclasses.asdict(sample) for sample in cell.samples],
    }
