"""Datagrams: whole, empty ones too, errors of the network apart from those of the program."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from unittest.mock import Mock

import pytest
from datagram_kit import V4, V6, Inbox, Lists, address
from streams_kit import said, step_until, steps, within


class Answering(Inbox):
    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.transport.sendto(data.upper(), addr)


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
    steps(reactor)
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
            steps(reactor, 1)
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


# --- several at once ---


def flood(client, server, count):
    sent = [b"%d" % i for i in range(count)]
    for data in sent:
        client.sendto(data, address(server))
    return [(data, client.getsockname()) for data in sent]


def test_a_protocol_that_takes_lists_gets_what_a_wake_up_took(core, reactor, endpoints, client):
    bound = core.limits.DATAGRAMS_PER_WAKEUP
    server = endpoints(Lists, local_addr=V4)
    sent = flood(client, server, 2 * bound + 3)
    step_until(reactor, lambda: len(server.got) == len(sent))
    assert server.lists == [sent[:bound], sent[bound : 2 * bound], sent[2 * bound :]]


def test_what_a_list_is_answered_leaves_together_and_in_order(reactor, endpoints, client):
    class Echo(Lists):
        def datagrams_received(self, arrivals):
            super().datagrams_received(arrivals)
            for data, addr in arrivals:
                self.transport.sendto(data, addr)

    server = endpoints(Echo, local_addr=V4)
    sent = flood(client, server, 20)
    step_until(reactor, lambda: len(server.got) == len(sent))
    assert [client.recv(10) for _ in sent] == [data for data, _ in sent]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_the_end_in_a_list_drops_what_comes_after_it(core, reactor, endpoints, client, end):
    class Ending(Lists):
        def datagrams_received(self, arrivals):
            super().datagrams_received(arrivals)
            getattr(self.transport, end)()

    server = endpoints(Ending, local_addr=V4)
    flood(client, server, core.limits.DATAGRAMS_PER_WAKEUP + 1)
    step_until(reactor, lambda: server.calls)
    assert (len(server.lists), server.calls) == (1, [("lost", None)])


def test_what_a_callback_for_lists_raises_is_reported_and_the_next_comes(core, reactor, endpoints, client):
    class Faulty(Lists):
        def datagrams_received(self, arrivals):
            super().datagrams_received(arrivals)
            raise ZeroDivisionError

    server = endpoints(Faulty, local_addr=V4)
    sent = flood(client, server, core.limits.DATAGRAMS_PER_WAKEUP + 1)
    step_until(reactor, lambda: len(server.got) == len(sent))
    assert said(reactor) == ["protocol.datagrams_received() failed"] * 2


def test_a_protocol_may_be_exchanged_while_a_burst_is_delivered(reactor, endpoints, client):
    class First(Inbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.set_protocol(second)

    second = Lists()
    server = endpoints(First, local_addr=V4)
    second.transport = server.transport
    sent = flood(client, server, 5)
    step_until(reactor, lambda: len(second.got) == 4)
    assert server.got + second.got == sent
    assert server.transport.get_protocol() is second
    server.transport.set_protocol(server)
    client.sendto(b"last", address(server))
    step_until(reactor, lambda: len(server.got) == 2)


def test_who_has_any_attribute_does_not_take_lists(reactor, endpoints, client):
    server = endpoints(Mock, local_addr=V4)
    client.sendto(b"x", server.connection_made.call_args[0][0].get_extra_info("sockname"))
    step_until(reactor, lambda: server.datagram_received.called)
    assert not server.datagrams_received.called


def test_what_is_recorded_is_the_list(core, reactor, endpoints, client):
    server = endpoints(Lists, local_addr=V4)
    calls = core.testing.record(server)
    sent = flood(client, server, 3)
    step_until(reactor, lambda: server.got)
    assert calls == [("datagrams_received", (sent,))]


# --- from outside of a dispatch ---


def test_the_first_datagram_of_an_iteration_leaves_at_once_the_rest_at_its_end(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)
    sent = [b"%d" % i for i in range(30)]
    within(reactor, lambda: [asking.transport.sendto(data, client.getsockname()) for data in sent])
    assert asking.transport.get_write_buffer_size() > 0
    assert client.recv(10) == sent[0]
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(10)
    steps(reactor, 1)
    assert asking.transport.get_write_buffer_size() == 0
    assert [client.recv(10) for _ in sent[1:]] == sent[1:]


def test_what_is_held_leaves_before_the_end(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)

    def write_and_close():
        for data in (b"1", b"2"):
            asking.transport.sendto(data, client.getsockname())
        asking.transport.close()
        asking.transport.sendto(b"3", client.getsockname())

    within(reactor, write_and_close)
    step_until(reactor, lambda: asking.calls)
    assert [client.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
    assert asking.calls == [("lost", None)]


def test_what_is_held_is_lost_by_abort(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)

    def write_and_abort():
        for data in (b"1", b"2"):
            asking.transport.sendto(data, client.getsockname())
        asking.transport.abort()

    within(reactor, write_and_abort)
    step_until(reactor, lambda: asking.calls)
    client.setblocking(False)
    assert client.recv(10) == b"1"
    with pytest.raises(BlockingIOError):
        client.recv(10)


def test_what_is_held_fails_where_the_endpoint_was_made(reactor, endpoints, client):
    where = contextvars.ContextVar("where", default="outside")

    class Failing(Inbox):
        def error_received(self, exc):
            self.errors.append(where.get())

    def make():
        where.set("made")
        return endpoints(Failing, local_addr=V4)

    asking = contextvars.copy_context().run(make)
    large = bytes(65_510)  # too large, and under the high-water mark

    def write():
        asking.transport.sendto(b"1", client.getsockname())
        asking.transport.sendto(large, client.getsockname())

    within(reactor, write)
    assert not asking.errors
    steps(reactor, 1)
    assert asking.errors == ["made"]


def test_answers_of_several_endpoints_leave_in_one_iteration(reactor, endpoints, client):
    servers = [endpoints(Answering, local_addr=V4) for _ in range(3)]
    for _ in range(5):
        for server in servers:
            client.sendto(b"x", address(server))
        reactor.run_once(0)
        assert sorted(client.recvfrom(10) for _ in servers) == sorted(
            (b"X", address(server)) for server in servers
        )


def test_nothing_is_held_where_nobody_would_flush(reactor, endpoints, client):
    asking = endpoints(local_addr=V4)
    for data in (b"1", b"2"):
        asking.transport.sendto(data, client.getsockname())
        assert client.recv(10) == data


def test_who_hears_of_an_error_where_nobody_would_flush_may_send(reactor, endpoints, client):
    class Instead(Inbox):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.sendto(b"instead", client.getsockname())

    asking = endpoints(Instead, local_addr=V4)
    for data in (b"1", bytes(65_510), b"2"):
        asking.transport.sendto(data, client.getsockname())
    assert [client.recv(10) for _ in range(3)] == [b"1", b"instead", b"2"]
    assert len(asking.errors) == 1


def test_a_long_queue_keeps_its_order(reactor, endpoints, tmp_path):
    path = str(tmp_path / "slow")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(path)
        slow.setblocking(False)
        asking = endpoints(remote_addr=path, family=socket.AF_UNIX)
        sent = [b"%d" % i for i in range(6000)]
        for data in sent:
            asking.transport.sendto(data)
        got = []
        while len(got) < len(sent):
            try:
                got.append(slow.recv(10))
            except BlockingIOError:
                reactor.run_once(0)
        assert got == sent
        assert asking.transport.get_write_buffer_size() == 0
