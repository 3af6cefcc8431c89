"""What the kernel's epoll sets hold: a registration that outlives its use is a busy loop."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from streams_kit import HalfOpen, Recorder, narrow_pair, step_until, steps


def registered():
    """The numbers that this process' epoll sets watch, asked of the kernel, with the events."""
    found = {}
    for handle in Path("/proc/self/fd").iterdir():
        try:
            if "eventpoll" in os.readlink(handle):
                text = Path(f"/proc/self/fdinfo/{handle.name}").read_text()
                found.update((int(fd), int(events, 16)) for fd, events in ENTRY.findall(text))
        except FileNotFoundError:
            continue  # the descriptor with which the directory was read
    return found


ENTRY = re.compile(r"^tfd:\s+(\d+) events:\s+([0-9a-f]+)", re.MULTILINE)
EPOLLIN, EPOLLOUT = 1, 4


def number(protocol):
    return protocol.transport.get_extra_info("socket").fileno()


def test_an_idle_connection_waits_for_data_alone(wires):
    protocol, _ = wires.attach()
    assert registered()[number(protocol)] & (EPOLLIN | EPOLLOUT) == EPOLLIN


def test_a_full_connection_waits_for_room_and_then_no_more(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.write(bytes(100_000))
    steps(reactor)
    assert registered()[number(protocol)] & EPOLLOUT
    peer.setblocking(False)
    while protocol.transport.get_write_buffer_size():
        peer.recv(100_000)
        reactor.run_once(1)
    peer.recv(100_000)
    steps(reactor)
    assert not registered()[number(protocol)] & EPOLLOUT


def test_a_hang_up_while_reading_is_paused_does_not_spin(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.pause_reading()
    peer.send(b"kept")
    peer.close()
    steps(reactor)
    assert number(protocol) not in registered()
    assert protocol.received == b""
    protocol.transport.resume_reading()
    step_until(reactor, lambda: protocol.lost.done())
    assert protocol.received == b"kept"


def test_data_that_nobody_reads_does_not_spin(reactor, wires):
    protocol, peer = wires.attach()
    protocol.transport.pause_reading()
    peer.send(b"kept")
    steps(reactor)
    assert not registered().get(number(protocol), 0) & EPOLLIN


def test_an_end_of_stream_that_was_told_does_not_spin(reactor, wires):
    protocol, peer = wires.attach(HalfOpen)
    peer.shutdown(socket.SHUT_WR)
    step_until(reactor, lambda: "eof" in protocol.calls)
    steps(reactor)
    assert not registered().get(number(protocol), 0) & EPOLLIN
    assert list(reactor.connections()) == [protocol.transport]


def test_a_duplicate_keeps_no_registration_of_a_closed_connection_alive(reactor):
    """Until the last duplicate is closed, epoll goes on reporting a number that it still has."""
    ours, peer = narrow_pair()
    twin = ours.dup()
    _, protocol = reactor.run_until_complete(reactor.create_connection(Recorder, sock=ours))
    fd = number(protocol)
    assert fd in registered()
    protocol.transport.close()
    steps(reactor)
    assert fd not in registered()
    twin.close()
    peer.close()


def test_a_closed_server_leaves_the_set(reactor):
    server = reactor.listen(Recorder, "127.0.0.1", 0)
    fd = server.sockets[0].fileno()
    assert fd in registered()
    server.close()
    steps(reactor)
    assert fd not in registered()


def test_an_aborted_connection_leaves_the_set_at_once(wires):
    protocol, _ = wires.attach()
    fd = number(protocol)
    protocol.transport.abort()
    assert fd not in registered()


def test_a_closed_reactor_gives_every_descriptor_back(core):
    before = set(os.listdir("/proc/self/fd"))
    with core.Reactor() as reactor:
        reactor.call_soon(reactor.stop)
        reactor.run()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_descriptor_that_cannot_be_watched_ends_its_connection(reactor, wires, tmp_path):
    """A number that turned into a regular file, which the kernel refuses to watch."""

    class Replaced(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            with open(tmp_path / "file", "wb") as file:
                os.dup2(file.fileno(), transport.get_extra_info("socket").fileno())

    ours, peer = socket.socketpair()
    wires.sockets.append(peer)
    with pytest.raises(PermissionError):
        reactor.run_until_complete(reactor.create_connection(Replaced, sock=ours))


def test_a_regular_file_cannot_be_watched(reactor, tmp_path):
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        reactor.add_reader(file, print)
