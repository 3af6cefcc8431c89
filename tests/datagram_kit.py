"""What tests of datagrams share: protocols that write down what comes."""

from __future__ import annotations

import asyncio

V4, V6 = ("127.0.0.1", 0), ("::1", 0)


class Inbox(asyncio.DatagramProtocol):
    def __init__(self):
        self.calls, self.got, self.errors = [], [], []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.got.append((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))


class Lists(Inbox):
    """Takes what arrived together in one call, and writes down in order what came."""

    def __init__(self):
        super().__init__()
        self.lists = []

    def datagrams_received(self, arrivals):
        self.lists.append(arrivals)
        self.got += arrivals

    def error_received(self, exc):
        super().error_received(exc)
        self.lists.append(exc.errno)


def address(protocol):
    return protocol.transport.get_extra_info("sockname")
