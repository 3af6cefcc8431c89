"""The load generator of ``python -m cyreactor compare``: asks, waits for the answer, and asks again.

The readable twin, for where nothing can be compiled. It is slower than the faster ones of the servers
that it asks; who uses it compares its own CPU time with theirs, and says when it was the limit.

Latencies are counted in buckets 1.6 % wide at most: below 128 ns each its own, above it 64 for
every doubling.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

Result = tuple[int, int, int, float, list[int]]

SCRATCH = 256 * 1024
DIRECT = 128  # latencies below have a bucket each
PER_DOUBLING = 64
BUCKETS = 2432  # up to a quarter of an hour
RECEIVE_BUFFER = 1024 * 1024
SILENCE = 0.2  # seconds after which a datagram is lost
SOURCE_COUNT = 60000


class Flow:
    """One request at a time, on one socket."""

    __slots__ = ("missing", "sent", "sock", "started", "waiting")

    sock: socket.socket

    def __init__(self) -> None:
        self.waiting = False
        self.sent = self.missing = self.started = 0


class Load:
    """Asks on many flows at once; what a flow is, the subclasses say.

    Raises OSError where a connection cannot be had.
    """

    def __init__(self, port: int, count: int, request: bytes) -> None:
        self.server = ("127.0.0.1", port)
        self.request = request
        self.size = len(request)
        self.flows = [Flow() for _ in range(count)]
        self.scratch = bytearray(SCRATCH)
        self.selector = selectors.DefaultSelector()
        self.histogram = [0] * BUCKETS

    def close(self) -> None:
        """Give the descriptors back."""
        for flow in self.flows:
            if hasattr(flow, "sock"):
                flow.sock.close()
        self.flows.clear()
        self.selector.close()

    def run(self, seconds: float, patience: float = 5.0) -> Result:
        """Ask for so many seconds, then wait for the answers under way.

        Returns the requests answered in that time and all that were answered, the datagrams lost, the
        CPU seconds used here, and the histogram of latencies. Raises ConnectionError where a server
        breaks off or says what was not expected, TimeoutError where it is silent for ``patience`` seconds,
        or as much later has not answered everything.
        """
        if not self.flows:
            raise ValueError("the load generator is closed")
        self.histogram = [0] * BUCKETS
        self.completed = self.total = self.lost = 0
        before = time.thread_time()
        self.measure(int(seconds * 1e9), int(patience * 1e9))
        return self.completed, self.total, self.lost, time.thread_time() - before, self.histogram

    def measure(self, length: int, patience: int) -> None:
        heard = time.perf_counter_ns()
        self.end = heard + length
        self.pending = len(self.flows)
        for flow in self.flows:
            self.begin(flow, time.perf_counter_ns())
        while self.pending:
            ready = self.selector.select(SILENCE)
            for key, events in ready:
                self.on_ready(key.data, events)
            now = time.perf_counter_ns()
            if ready:
                if now > self.end + patience:
                    raise TimeoutError("the server is too slow")
                heard = now
                continue
            if now - heard > patience:
                raise TimeoutError("the server does not answer")
            self.on_silence()

    def begin(self, flow: Flow, started: int) -> None:
        """Send the next request."""
        raise NotImplementedError

    def on_ready(self, flow: Flow, events: int) -> None:
        raise NotImplementedError

    def on_silence(self) -> None:
        """Nothing came for SILENCE seconds."""

    def complete(self, flow: Flow) -> None:
        """The answer is there: count it, and ask again unless the time is over."""
        now = time.perf_counter_ns()
        self.histogram[bucket_of(now - flow.started)] += 1
        self.total += 1
        flow.waiting = False
        if now < self.end:
            self.completed += 1
            self.begin(flow, now)
        else:
            self.pending -= 1

    def watch(self, flow: Flow, events: int = selectors.EVENT_READ) -> None:
        self.selector.register(flow.sock, events, flow)


class StreamLoad(Load):
    """TCP connections; with ``reconnect`` a new one for each request, closed after the answer.

    ``answer`` is the number of bytes that answer a request; which ones does not matter.
    """

    would_block: tuple[type[OSError], ...] = (BlockingIOError, InterruptedError)

    def __init__(self, port: int, count: int, request: bytes, answer: int, reconnect: bool = False) -> None:
        super().__init__(port, count, request)
        self.answer, self.reconnect = answer, reconnect
        self.sources = 0  # connections so far: each is from another address
        try:
            for flow in () if reconnect else self.flows:
                self.open(flow)
        except OSError:
            self.close()
            raise

    def open(self, flow: Flow) -> None:
        """A connection, those for one request each from ever other addresses of this machine.

        A closed connection keeps its pair of addresses for a minute, and those of one address would
        soon be used up. Only Linux has all of 127/8 without being told.
        """
        flow.sock = socket.socket()
        flow.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.reconnect and sys.platform == "linux":
            self.sources = (self.sources + 1) % SOURCE_COUNT
            flow.sock.bind((f"127.1.{self.sources // 250}.{1 + self.sources % 250}", 0))
        flow.sock.connect(self.server)
        flow.sock.setblocking(False)
        self.watch(flow)

    def begin(self, flow: Flow, started: int) -> None:
        flow.started, flow.sent, flow.missing, flow.waiting = started, 0, self.answer, True
        if self.reconnect:
            self.open(flow)
        self.transmit(flow)

    def on_ready(self, flow: Flow, events: int) -> None:
        if flow.waiting and events & selectors.EVENT_WRITE:
            self.transmit(flow)
        if events & selectors.EVENT_READ:
            self.receive(flow)

    def transmit(self, flow: Flow) -> None:
        partly = flow.sent
        try:
            while flow.sent < self.size:
                flow.sent += flow.sock.send(self.request[flow.sent :] if flow.sent else self.request)
        except self.would_block:
            self.selector.modify(flow.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, flow)
            return
        if partly:
            self.selector.modify(flow.sock, selectors.EVENT_READ, flow)

    def receive(self, flow: Flow) -> None:
        try:
            count = flow.sock.recv_into(self.scratch)
        except self.would_block:
            return
        if count == 0:
            raise ConnectionError("the server closed a connection")
        flow.missing -= count
        if flow.missing < 0:
            raise ConnectionError("the server answers more than was expected")
        if flow.missing == 0 and flow.sent == self.size:
            if self.reconnect:
                self.selector.unregister(flow.sock)
                flow.sock.close()
            self.complete(flow)


class DatagramLoad(Load):
    """UDP flows; a request is ``burst`` equal datagrams, its answer as many."""

    def __init__(self, port: int, count: int, request: bytes, burst: int) -> None:
        super().__init__(port, count, request)
        self.burst = burst
        for flow in self.flows:
            flow.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            flow.sock.setblocking(False)
            flow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            flow.sock.connect(self.server)
            self.watch(flow)

    def begin(self, flow: Flow, started: int) -> None:
        flow.started, flow.missing, flow.waiting = started, self.burst, True
        for sent in range(self.burst):
            try:
                flow.sock.send(self.request)
            except BlockingIOError:  # the kernel is full: what it did not take is lost
                self.lost += self.burst - sent
                flow.missing = max(sent, 1)
                return

    def on_ready(self, flow: Flow, events: int) -> None:
        try:
            while flow.missing > 0:
                flow.sock.recv_into(self.scratch)
                flow.missing -= 1
        except BlockingIOError:
            return
        if flow.waiting:
            self.complete(flow)
        else:
            flow.sock.recv_into(self.scratch)  # one that was given up

    def on_silence(self) -> None:
        """What did not come is lost; the flow goes on."""
        now = time.perf_counter_ns()
        for flow in self.flows:
            if not flow.waiting:
                continue
            self.lost += flow.missing
            flow.waiting = False
            if now >= self.end:
                self.pending -= 1
            else:
                self.begin(flow, now)


def bucket_of(latency: int) -> int:
    """The number of a latency's bucket; nanoseconds."""
    if latency < DIRECT:
        return max(latency, 0)
    shift = latency.bit_length() - 7
    return min(DIRECT + (shift - 1) * PER_DOUBLING + (latency >> shift) - PER_DOUBLING, BUCKETS - 1)
