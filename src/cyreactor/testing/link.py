"""Two protocols connected in memory.

Why not over a socket pair: how much a kernel buffer holds, and how a stream arrives in pieces, is the
kernel's choice, and differs from system to system. Here both are the test's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..limits import LINK_WINDOW
from .memory import Cuts, MemoryTransport


class Link:
    """Two transports, ``a`` and ``b``: what one sends is what the other receives. See ``connect``."""

    def __init__(
        self,
        a: asyncio.BaseProtocol,
        b: asyncio.BaseProtocol,
        cuts: Cuts,
        window: int,
        options: dict[str, Any],
    ) -> None:
        self.a: MemoryTransport = MemoryTransport(a, room=window, **options)
        self.b: MemoryTransport = MemoryTransport(b, room=window, **options)
        places = cuts if cuts is None or isinstance(cuts, int) else sorted(cuts)
        self._ways = _Way(self.a, self.b, places), _Way(self.b, self.a, places)
        self._loop = self.a._loop
        self._scheduled = False
        for end in (self.a, self.b):
            end._on_change = self._schedule
        self._schedule()

    def run(self) -> None:
        """Go on until nothing moves any more. On a loop that runs the link does that by itself."""
        while self.step():
            pass

    def step(self) -> bool:
        """One read on each side, of what was sent before; whether anything moved."""
        for end in (self.a, self.b):
            end.settle()
        moved = [way.move() for way in self._ways]
        return any(moved)

    def _schedule(self) -> None:
        if self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_by_itself)

    def _run_by_itself(self) -> None:
        self._scheduled = False
        if self.step():
            self._schedule()


class _Way:
    """One direction: what is under way, and where it is cut."""

    def __init__(
        self, source: MemoryTransport, target: MemoryTransport, cuts: int | list[int] | None
    ) -> None:
        self.source = source
        self.target = target
        self.cuts = cuts
        self.travelling = b""
        self.arrived = 0  # bytes so far
        self.over = False

    def move(self) -> bool:
        """Deliver a piece, or the end; whether there was anything to do."""
        self.travelling += self.source.take()
        if self.target.is_closing():
            return self._bounce()
        if not self.target.is_reading():
            return False
        if self.travelling:
            self._deliver(self._piece())
            return True
        if not self.over and (self.source.eof_sent or self.source.closed):
            self.over = True
            if self.source.aborted:
                self.target.lose(ConnectionResetError("the peer aborted the connection"))
            else:
                self.target.feed_eof()
            return True
        return False

    def _deliver(self, piece: bytes) -> None:
        self.travelling = self.travelling[len(piece) :]
        self.arrived += len(piece)
        self.target.feed(piece)
        self.source.drain(len(piece))

    def _piece(self) -> bytes:
        """What comes next, up to where it is cut."""
        if isinstance(self.cuts, int):
            return self.travelling[: self.cuts]
        place = next((place for place in self.cuts or () if place > self.arrived), None)
        return self.travelling if place is None else self.travelling[: place - self.arrived]

    def _bounce(self) -> bool:
        """Bytes for somebody who is gone: as the kernel does, tell the sender so."""
        if not self.travelling or not self.target.closed:
            return False
        self.travelling = b""
        if self.source.closed:
            return False
        self.source.lose(ConnectionResetError("the peer has closed the connection"))
        return True


def connect(
    a: asyncio.BaseProtocol,
    b: asyncio.BaseProtocol,
    *,
    cuts: Cuts = None,
    window: int = LINK_WINDOW,
    **options: Any,
) -> Link:
    """Connect two protocols in memory: ``connection_made`` on both, then what each writes to the other.

    The streams arrive in pieces: of at most ``cuts`` bytes, or with an end at each of these places of
    either stream. At most ``window`` bytes are under way in one direction, as in the kernel's buffers:
    while a protocol does not read, its peer can send no more, and is paused as by a slow peer.
    ``options`` are those of MemoryTransport, for both: ``loop``, ``high``, ``low``, ``extra``.

    Without a loop, or between the iterations of one, the returned link's ``run`` moves everything;
    on a loop that runs it moves by itself.
    """
    if window < 1 or (isinstance(cuts, int) and cuts < 1):
        raise ValueError("the window, and pieces, have at least one byte")
    return Link(a, b, cuts, window, options)
