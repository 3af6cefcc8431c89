"""Datagrams: whole, empty ones too, errors of the network apart from those of the program."""

from __future__ import annotations

import asyncio
import socket

import pytest
from streams_kit import said, step_until, steps

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


class Answering(Inbox):
    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.transport.sendto(data.upper(), addr)


@pytest.fixture
def endpoints(reactor):
    """Makes endpoints of the reactor's, and puts them away."""
    made = []

    def endpoint(factory=Inbox, **options):
        transport, protocol = reactor.run_until_complete(reactor.create_datagram_endpoint(factory, **options))
        made.append(transport)
        return protocol

    yield endpoint
    for transport in made:
        transport.abort()
    steps(reactor)


@pytest.fixture
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(V4)
        sock.settimeout(5)
        yield sock


def address(protocol):
    return protocol.transport.get_extra_info("sockname")


@pytest.mark.parametrize("local", [V4, V6], ids=["IPv4", "IPv6"])
def test_an_answer_goes_to_whom_it_came_from(reactor, endpoints, local):
    server = endpoints(Answering, local_addr=local)
    asking = endpoints(local_addr=local)
    asking.transport.sendto(b"hello", address(server))
    step_until(reactor, lambda: asking.got)
    assert asking.got == [(b"HELLO", address(server))]
    assert server.got == [(b"hello", address(asking))]


def test_a_connected_endpoint_needs_no_address(reactor, endpoints):
    server = endpoints(Answering, local_addr=V4)
    asking = endpoints(remote_addr=address(server))
    assert asking.transport.get_extra_info("peername") == address(server)
    asking.transport.sendto(b"one")
    asking.transport.sendto(b"two", address(server))
    with pytest.raises(ValueError, match="Invalid address"):
        asking.transport.sendto(b"three", ("127.0.0.1", 9))
    step_until(reactor, lambda: len(asking.got) == 2)
    assert [data for data, _ in asking.got] == [b"ONE", b"TWO"]


def test_unix_datagrams(reactor, endpoints, tmp_path):
    names = [str(tmp_path / name) for name in ("server", "client")]
    endpoints(Answering, local_addr=names[0], family=socket.AF_UNIX)
    asking = endpoints(local_addr=names[1], family=socket.AF_UNIX)
    asking.transport.sendto(b"x" * 100_000, names[0])
    step_until(reactor, lambda: asking.got)
    assert asking.got == [(b"X" * 100_000, names[0])]


def test_empty_datagrams_are_sent_and_received(reactor, endpoints, client):
    server = endpoints(Answering, local_addr=V4)
    client.sendto(b"", address(server))
    step_until(reactor, lambda: server.got)
    assert client.recvfrom(10) == (b"", address(server))


def test_a_burst_is_answered_whole_and_in_order(reactor, endpoints, client):
    server = endpoints(Answering, local_addr=V4)
    sent = [b"%d" % i for i in range(40)]
    for data in sent:
        client.sendto(data, address(server))
    step_until(reactor, lambda: len(server.got) == 40)
    assert [client.recv(10) for _ in sent] == sent


def test_close_drops_the_rest_of_a_burst(reactor, endpoints, client):
    class Closing(Inbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    server = endpoints(Closing, local_addr=V4)
    for _ in range(3):
        client.sendto(b"x", address(server))
    step_until(reactor, lambda: server.calls)
    assert len(server.got) == 1
    assert server.calls == [("lost", None)]


def test_nobody_there_is_an_error_and_no_end(reactor, endpoints, client):
    asking = endpoints(remote_addr=client.getsockname())
    client.close()
    asking.transport.sendto(b"anybody?")
    step_until(reactor, lambda: asking.errors)
    assert isinstance(asking.errors[0], ConnectionRefusedError)
    assert not asking.transport.is_closing()


def test_a_datagram_that_is_too_large_is_an_error_and_no_end(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)
    asking.transport.sendto(b"x" * 70_000, client.getsockname())
    asking.transport.sendto(b"fits", client.getsockname())
    assert [type(exc) for exc in asking.errors] == [OSError]
    assert client.recv(10) == b"fits"


@pytest.mark.parametrize(
    ("data", "target", "error"),
    [
        ("text", V4, TypeError),
        (b"x", None, ValueError),
        (b"x", ("127.0.0.1", 70_000), OverflowError),
        (b"x", ("127.0.0.1", "80"), TypeError),
        (b"x", "127.0.0.1", TypeError),
        (b"x", (None, 80), TypeError),
    ],
)
def test_misuse_is_raised_where_it_happens(endpoints, data, target, error):
    asking = endpoints(local_addr=V4)
    with pytest.raises(error):
        asking.transport.sendto(data, target)
    assert not asking.transport.is_closing()


def test_what_a_callback_raises_is_reported_and_the_next_datagram_comes(reactor, endpoints, client):
    class Faulty(Inbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            raise ZeroDivisionError

    server = endpoints(Faulty, local_addr=V4)
    client.sendto(b"1", address(server))
    client.sendto(b"2", address(server))
    step_until(reactor, lambda: len(server.got) == 2)
    assert said(reactor) == ["protocol.datagram_received() failed"] * 2


def test_a_full_socket_pauses_and_resumes(reactor, endpoints, tmp_path):
    path = str(tmp_path / "slow")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(path)
        asking = endpoints(remote_addr=path, family=socket.AF_UNIX)
        for _ in range(200):
            asking.transport.sendto(b"x" * 2000)
        assert asking.calls == ["pause"]
        slow.setblocking(False)
        taken = 0
        while taken < 200:
            try:
                taken += len(slow.recv(3000)) == 2000
            except BlockingIOError:
                reactor.run_once(0)
        assert asking.calls == ["pause", "resume"]


def test_close_flushes_what_is_queued(reactor, endpoints, tmp_path):
    path = str(tmp_path / "slow")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(path)
        slow.setblocking(False)
        asking = endpoints(remote_addr=path, family=socket.AF_UNIX)
        for _ in range(30):
            asking.transport.sendto(b"x" * 2000)
        asking.transport.close()
        taken = 0
        while taken < 30:
            try:
                taken += len(slow.recv(3000)) == 2000
            except BlockingIOError:
                reactor.run_once(0)
        step_until(reactor, lambda: asking.calls)
        assert asking.calls == [("lost", None)]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_closed_endpoint_of_no_peer_sends_until_connection_lost(reactor, endpoints, client, end):
    class Ending(Inbox):
        def datagram_received(self, data, addr):
            getattr(self.transport, end)()
            self.transport.sendto(data, addr)

    server = endpoints(Ending, local_addr=V4)
    client.sendto(b"from a callback", address(server))
    step_until(reactor, lambda: server.calls)
    assert client.recv(100) == b"from a callback"
    other = endpoints(local_addr=V4)
    getattr(other.transport, end)()
    other.transport.sendto(b"from outside", client.getsockname())
    assert client.recv(100) == b"from outside"
    steps(reactor)
    other.transport.sendto(b"too late", client.getsockname())
    assert (server.calls, other.calls) == ([("lost", None)], [("lost", None)])
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_a_closed_endpoint_of_no_peer_does_not_wait_for_room(reactor, endpoints, tmp_path):
    path = str(tmp_path / "deaf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        asking = endpoints(family=socket.AF_UNIX)
        while not asking.transport.get_write_buffer_size():
            asking.transport.sendto(b"x" * 1000, path)
        asking.transport.abort()
        asking.transport.sendto(b"x", path)
        assert asking.transport.get_write_buffer_size() == 0
        steps(reactor)
    assert asking.calls[-1] == ("lost", None)


def test_a_closed_endpoint_with_a_peer_sends_nothing(reactor, endpoints, client):
    asking = endpoints(remote_addr=client.getsockname())
    asking.transport.close()
    asking.transport.sendto(b"too late")
    steps(reactor)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_each_failed_datagram_is_an_error_though_the_first_closes(reactor, endpoints, client):
    class Closing(Inbox):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.close()

    asking = endpoints(Closing, local_addr=V4)
    for _ in range(2):
        asking.transport.sendto(b"x" * 70_000, client.getsockname())
    step_until(reactor, lambda: asking.calls)
    assert len(asking.errors) == 2


def test_is_an_asyncio_transport(endpoints):
    transport = endpoints(local_addr=V4).transport
    assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport, asyncio.Transport)
    transport.note = 1  # programs hang things on a transport


def test_names_are_looked_up_and_abstract_ones_known(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)
    asking.transport.sendto(b"by name", ("localhost", client.getsockname()[1]))
    assert client.recv(10) == b"by name"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind("\0cyreactor-test-" + str(client.getsockname()[1]))
        abstract.settimeout(5)
        asking = endpoints(local_addr=None, family=socket.AF_UNIX)
        asking.transport.sendto(b"hidden", abstract.getsockname())
        assert abstract.recv(10) == b"hidden"


def test_an_address_that_no_socket_takes_costs_that_datagram_alone(reactor, endpoints, client):
    class Odd(Inbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            try:
                self.transport.sendto(b"odd", ("127.0.0.1\0", 9))
            except (TypeError, ValueError):
                pass
            self.transport.sendto(b"even", addr)

    server = endpoints(Odd, local_addr=V4)
    client.sendto(b"x", address(server))
    step_until(reactor, lambda: server.got)
    assert client.recv(10) == b"even"
    assert set(said(reactor)) <= {"sendto() failed"}


def test_add_reader_refuses_an_endpoint_s_descriptor(reactor, endpoints):
    transport = endpoints(local_addr=V4).transport
    with pytest.raises(RuntimeError, match="is used by transport"):
        reactor.add_reader(transport.get_extra_info("socket").fileno(), print)
