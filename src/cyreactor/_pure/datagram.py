"""Datagrams: UDP over IPv4 and IPv6, and Unix datagram sockets.

Receiving. One system call takes one message, and a wake-up one such call; several, up to a bound, for a
protocol that takes whole lists. What the kernel has merged for a socket with UDP_GRO is cut again: a
protocol never sees it.

Sending. What the callbacks of a dispatch answered leaves at its end. From elsewhere (a task, a timer) the
first datagram of an iteration leaves at once, and what follows is held for the flush just before the wait.
Consecutive datagrams of one size to the same peer are one message, which the kernel or the network card
cuts (UDP_SEGMENT), where there is such a kernel.

Errors of the network (ICMP, a full neighbour table) are ``error_received``, and what the program's own
callback raises is no end of the endpoint: other peers have done nothing wrong.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections import deque
from itertools import islice
from typing import Any

from ..limits import (
    DATAGRAM_OVERHEAD,
    DATAGRAM_SIZE,
    DATAGRAMS_PER_WAKEUP,
    SEGMENTED_SIZE,
    SEGMENTS_PER_MESSAGE,
)
from .endpoint import CLOSED, CLOSING, OPEN, Endpoint, as_bytes

AF_UNIX = getattr(socket, "AF_UNIX", None)  # not on Windows
MSG_TRUNC = int(getattr(socket, "MSG_TRUNC", 0))  # a plain number: an enum's & is a hundred times as dear

# Linux's, which the socket module does not name.
UDP_SEGMENT, UDP_GRO = 103, 104
SEGMENT_SIZE = struct.Struct("=H")

# Bytes for what the kernel says beside a message: the size of what it merged, timestamps.
CONTROL = 256

# What the kernel has against a message that is to be cut: its pieces are too large for the way, or the way
# is not for it.
NOT_IN_ONE = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}

Queued = tuple[bytes, Any]
Arrivals = list[Any]  # pairs (data, address), and the OSError that came in the place of one


class Datagram(Endpoint, asyncio.DatagramTransport):
    """The pure half of a datagram transport; ``cyreactor.transport`` adds the rare paths."""

    __slots__ = (
        "_address", "batches", "family", "known", "queue", "room", "segmenting", "written",
    )  # fmt: skip

    def __init__(self, loop: Any, sock: socket.socket, protocol: Any, address: Any = None) -> None:
        super().__init__(loop, sock)
        self._address = address  # the peer of a connected socket, None for any
        self.queue: deque[Queued] = deque()
        self.written = self.poller.iteration - 1  # the iteration of the last from outside of a dispatch
        self.known: Any = None  # the address that was sent to last
        self.family = sock.family
        merges = sys.platform == "linux" and self.family != AF_UNIX
        # On a Unix socket it would be descriptors.
        self.room = CONTROL if merges else 0
        # Whether equal datagrams leave as one message; None until the kernel was asked.
        self.segmenting = None if merges else False
        self.set_protocol(protocol)

    def set_protocol(self, protocol: Any) -> None:
        """Hand what arrives from now on to another protocol."""
        self.protocol = protocol
        # Of its class: a mock, and a proxy, has whatever it is asked for.
        self.batches = hasattr(type(protocol), "datagrams_received")

    # --- receiving ---

    def _read(self) -> None:
        arrivals: Arrivals = []
        try:
            self._receive(arrivals)
            while self.batches and len(arrivals) < DATAGRAMS_PER_WAKEUP:
                self._receive(arrivals)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            arrivals.append(exc.with_traceback(None))  # which would keep this frame, and thereby itself
        self._deliver(arrivals)

    def _receive(self, arrivals: Arrivals) -> None:
        """Append the datagrams of a message, or the error for one that was cut off."""
        arena = self.poller.arena
        if arena is None:
            arena = self.poller.arena = memoryview(bytearray(DATAGRAM_SIZE))
        if not hasattr(self.sock, "recvmsg_into"):
            size, address = self.sock.recvfrom_into(arena)
            arrivals.append((bytes(arena[:size]), address))
            return
        size, control, flags, address = self.sock.recvmsg_into([arena], self.room)
        if flags & MSG_TRUNC:
            arrivals.append(OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE)))
            return
        segment = merged_size(control) or size if control else size
        start = 0
        while size - start > segment:
            arrivals.append((bytes(arena[start : start + segment]), address))
            start += segment
        arrivals.append((bytes(arena[start:size]), address))

    def _deliver(self, arrivals: Arrivals) -> None:
        at = 0
        while at < len(arrivals) and self.readable:
            end = at + 1
            if isinstance(arrivals[at], OSError):
                self._report_error(arrivals[at])
            elif self.batches:
                end = end_of_whole(arrivals, at)
                self._hand_over_list(arrivals[at:end])
            else:
                self._hand_over(*arrivals[at])
            at = end

    def _hand_over(self, data: bytes, address: Any) -> None:
        try:
            self.protocol.datagram_received(data, address)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.datagram_received() failed")

    def _hand_over_list(self, arrivals: Arrivals) -> None:
        try:
            self.protocol.datagrams_received(arrivals)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.datagrams_received() failed")

    def _report_error(self, exc: OSError) -> None:
        try:
            self.protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self._report(failure, "protocol.error_received() failed")

    # --- sending ---

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram, empty ones too; never blocks unless ``addr`` names a host that must be looked up.

        ``addr`` may be left out where the socket is connected. What the network says against it comes
        to ``error_received``; raises TypeError and ValueError for what is no datagram or no address.
        """
        piece = data if type(data) is bytes else as_bytes(data)
        addr = self._checked(addr)
        if not self._writable():
            self._write_lost()
            return
        if self.dispatching or self.queued or self._holds():
            self.queue.append((piece, addr))
            self.queued += len(piece) + DATAGRAM_OVERHEAD
            if not self.dispatching or self.queued > self.high:
                self._after_write()
        else:
            self._send_run([(piece, addr)])
            self._throttle()

    def _writable(self) -> bool:
        """As asyncio: where nobody is connected, a datagram leaves for as long as there is a socket."""
        return self.state < CLOSED if self._address is None else super()._writable()

    def _holds(self) -> bool:
        """Whether a datagram from outside of a dispatch waits for the flush before the wait."""
        if self.written == self.poller.iteration:
            return self.state is OPEN
        self.written = self.poller.iteration
        return False

    def _after_write(self) -> None:
        """Something was queued: see that it leaves, and that it does not pile up."""
        if not self.full:
            if self.queued > self.high or (self.state is not OPEN and not self.dispatching):
                self._send_queued()
            elif not self.dispatching:
                self._hold()
        self._throttle()

    def _checked(self, address: Any) -> Any:
        if self._address is not None:
            if address is not None and address != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}")
            return None
        if address is None:
            raise ValueError("sendto() needs an address: the socket is not connected")
        if address is not self.known and self.family != AF_UNIX:
            check_address(address, 4 if self.family == socket.AF_INET6 else 2)
            self.known = address
        return address

    def _send_queued(self) -> None:
        while self.queue and not self.full:
            run = self._next_run()
            for piece, _ in run:
                self.queue.popleft()
                self.queued -= len(piece) + DATAGRAM_OVERHEAD
            try:
                self._send_run(run)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:  # an address that Python does not take
                self._put_back(run[1:])
                self._report(exc, "sendto() failed")
        self._drained()

    def _next_run(self) -> list[Queued]:
        """The first of the queue, and those after it that may leave with it in one message."""
        run = [self.queue[0]]
        (first, peer), total = run[0], 0
        size = last = len(first)
        for piece, address in islice(self.queue, 1, SEGMENTS_PER_MESSAGE):
            total += last
            fits = last == size and 0 < len(piece) <= size and total + len(piece) <= SEGMENTED_SIZE
            if not fits or address != peer or not self._may_segment():
                break
            run.append((piece, address))
            last = len(piece)
        return run

    def _may_segment(self) -> bool:
        """Whether the kernel would cut a message: it is asked once, when that could be of use."""
        if self.segmenting is None:
            try:
                self.segmenting = self.sock.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT) == 0
            except OSError:
                self.segmenting = False
        return self.segmenting

    def _send_run(self, run: list[Queued]) -> None:
        """Send, or put it back where the kernel has no room, or wants its pieces one by one."""
        try:
            self._transmit(run)
        except (BlockingIOError, InterruptedError):
            if self.state > CLOSING:  # nobody waits any more; a datagram may be lost
                return
            self._put_back(run)
            self.full = True
            self._want()
        except OSError as exc:
            if len(run) > 1 and exc.errno in NOT_IN_ONE:
                self.segmenting = False
                self._put_back(run)
                return
            self._put_back(run[1:])
            self._report_error(exc)

    def _transmit(self, run: list[Queued]) -> None:
        piece, address = run[0]
        if len(run) > 1:
            control = [(socket.IPPROTO_UDP, UDP_SEGMENT, SEGMENT_SIZE.pack(len(piece)))]
            pieces = [piece for piece, _ in run]
            if address is None:
                self.sock.sendmsg(pieces, control)
            else:
                self.sock.sendmsg(pieces, control, 0, address)
        elif address is None:
            self.sock.send(piece)
        else:
            self.sock.sendto(piece, address)

    def _put_back(self, run: list[Queued]) -> None:
        self.queue.extendleft(reversed(run))
        self.queued += sum(len(piece) + DATAGRAM_OVERHEAD for piece, _ in run)

    def _forget_queue(self) -> None:
        self.queue.clear()


def merged_size(control: list[tuple[int, int, bytes]]) -> int:
    """The size of the datagrams that the kernel merged into a message; 0 where it is one."""
    for level, kind, value in control:
        if level == socket.IPPROTO_UDP and kind == UDP_GRO:
            return int.from_bytes(value, sys.byteorder)
    return 0


def end_of_whole(arrivals: Arrivals, start: int) -> int:
    """The first error from there on, or the end."""
    while start < len(arrivals) and not isinstance(arrivals[start], OSError):
        start += 1
    return start


def check_address(address: Any, longest: int) -> None:
    """Raise for what is not an IP socket's address before it is queued."""
    if not isinstance(address, tuple) or not 2 <= len(address) <= longest:
        raise TypeError(f"an address is a tuple (host, port), not {address!r}")
    if not isinstance(address[0], (str, bytes, bytearray)):
        raise TypeError(f"host must be a string, not {address[0]!r}")
    if not isinstance(address[1], int):
        raise TypeError(f"port must be an integer, not {address[1]!r}")
    if not 0 <= address[1] <= 65535:
        raise OverflowError(f"port must be 0-65535, not {address[1]}")
