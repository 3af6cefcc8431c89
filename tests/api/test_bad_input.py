"""Clients that send nonsense, too much, or nothing: the server goes on, with bounded memory."""

from __future__ import annotations

import contextlib
import resource
import socket

import pytest
from command_line import client_of, port_of, serving
from streams_kit import said, step_until, steps

LIMIT = 64 * 1024


def answers(core, reactor, wires, server):
    """A well-behaved client is still served."""
    client = wires.client(server)
    client.send(b"hello\n")
    client.setblocking(False)
    got = []
    reactor.add_reader(client, lambda: got.append(client.recv(100)))
    step_until(reactor, lambda: got)
    reactor.remove_reader(client)
    return got == [b"hello\n"]


@pytest.fixture
def served(core, reactor):
    """A server of lines, and the protocols it made."""
    made = []

    class Echo(core.cli.Lines):
        lost = None

        def connection_lost(self, exc):
            self.lost = exc or True

    server = reactor.listen(lambda: made.append(Echo()) or made[-1], "127.0.0.1", 0)
    yield server, made
    server.close()


def send_until_lost(reactor, client, protocol, data):
    """Send without end, and meanwhile see what the framer keeps; how much that was at most."""
    client.setblocking(False)
    most = 0

    def send():
        nonlocal most
        try:
            client.send(data)
        except (BlockingIOError, ConnectionError):
            pass
        most = max(most, protocol.framer.pending)
        return protocol.lost is not None

    step_until(reactor, send)
    return most


@pytest.mark.parametrize("junk", [b"x", b"\0\r", b"\xff\xfe "])
def test_a_line_without_end_ends_its_connection_at_the_limit(core, reactor, wires, served, junk):
    server, made = served
    client = wires.client(server)
    step_until(reactor, lambda: made)
    most = send_until_lost(reactor, client, made[0], junk * 10_000)
    assert isinstance(made[0].lost, core.FramingError)
    assert most <= 2 * LIMIT
    assert answers(core, reactor, wires, server)


@pytest.mark.parametrize(("base", "data"), [
    ("LengthPrefixedProtocol", b"\xff\xff\xff\xff"),
    ("LengthPrefixedProtocol", b"\0\1\0\1"),
    ("NetstringProtocol", b"9" * 100),
    ("NetstringProtocol", b"hello"),
    ("NetstringProtocol", b"3:abcd"),
    ("NetstringProtocol", b"03:abc,"),
    ("DelimitedProtocol", b"x" * (LIMIT + 1)),
])  # fmt: skip
def test_a_message_that_is_none_is_refused_before_its_body(core, reactor, wires, base, data):
    lost = []
    connection_lost = {"connection_lost": lambda self, exc: lost.append(exc)}
    server = reactor.listen(type("Refusing", (getattr(core, base),), connection_lost), "127.0.0.1", 0)
    client = wires.client(server)
    client.sendall(data)
    step_until(reactor, lambda: lost)
    assert isinstance(lost[0], core.FramingError)
    client.close()
    server.close()


def test_a_client_that_never_reads_is_read_no_more(core, reactor, wires, served):
    """What waits for it stays near the high-water mark, and what it goes on sending in its own kernel."""
    server, made = served
    client = wires.client(server)
    client.setblocking(False)
    step_until(reactor, lambda: made)
    transport = made[0].transport

    def given_up():
        with contextlib.suppress(BlockingIOError):
            client.send((b"x" * 999 + b"\n") * 100)
        assert transport.get_write_buffer_size() <= 3 * LIMIT
        return not transport.is_reading()

    step_until(reactor, given_up)
    for _ in range(100):
        reactor.run_once(0)
        assert given_up()
    assert answers(core, reactor, wires, server)


def test_many_who_connect_and_say_nothing_are_no_burden(core, reactor, wires, served):
    server, made = served
    for _ in range(200):
        wires.client(server)
        reactor.run_once(0)
    step_until(reactor, lambda: len(made) == 200)
    assert answers(core, reactor, wires, server)
    for sock in wires.sockets:
        sock.close()
    step_until(reactor, lambda: all(protocol.lost for protocol in made))
    assert said(reactor) == []


def test_many_who_come_and_go_leave_nothing_behind(reactor, wires, served):
    server, made = served
    for _ in range(100):
        client = wires.client(server)
        client.send(b"half a line")
        client.close()
        reactor.run_once(0)
    step_until(reactor, lambda: len(made) == 100 and all(protocol.lost for protocol in made))
    steps(reactor)
    assert list(reactor.connections()) == []


DESCRIPTORS = 40


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def test_more_clients_than_descriptors_wait_and_the_served_are_served_on(core):
    with serving(core, "lines", "--port", "0", before=few_descriptors) as server:
        clients = [client_of(server) for _ in range(2 * DESCRIPTORS)]
        clients[0].sendall(b"first\n")
        assert clients[0].recv(100) == b"first\n"
        for client in clients[:-1]:
            client.close()
        clients[-1].sendall(b"last\n")
        assert clients[-1].recv(100) == b"last\n"
        clients[-1].close()
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=20) as late:
            late.sendall(b"late\n")
            assert late.recv(100) == b"late\n"
