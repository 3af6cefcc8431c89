"""Timeouts without a timer for each connection, or for each request.

A sweep looks at all connections of one kind a few times within their shortest timeout. A connection
that is served between two sweeps has cost one assignment; one that is idle costs a look.
"""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..limits import SWEEPS_PER_TIMEOUT


class Swept(Protocol):
    """What a sweep looks at."""

    def _check_timeouts(self, now: float) -> None:
        """It is ``now`` on the loop's clock: end what lasts too long."""


class Sweep:
    """The connections of one loop that are looked at every ``interval`` seconds."""

    __slots__ = ("__weakref__", "_interval", "_swept", "_timer")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._swept: set[Swept] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Swept) -> None:
        """Look at it from now on; called on the loop, as all of this is."""
        self._swept.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._sweep)

    def discard(self, connection: Swept) -> None:
        """Forget it. The timer ends with the last one."""
        self._swept.discard(connection)
        if not self._swept and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self._sweep)
        now = loop.time()
        for connection in list(self._swept):
            connection._check_timeouts(now)


# A sweep lives as long as its connections: it knows its loop, which therefore must not hold it.
_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[float, Sweep]] = (
    WeakKeyDictionary()
)


def sweep_of(loop: asyncio.AbstractEventLoop, shortest: float) -> Sweep:
    """The sweep of that loop for connections whose shortest timeout is so many seconds."""
    sweeps = _of_loops.get(loop)
    if sweeps is None:
        sweeps = _of_loops[loop] = WeakValueDictionary()
    interval = shortest / SWEEPS_PER_TIMEOUT
    sweep = sweeps.get(interval)
    if sweep is None:
        sweep = sweeps[interval] = Sweep(interval)
    return sweep
