"""Datagrams that the kernel cuts and merges (UDP_SEGMENT, UDP_GRO), which nobody sees, and cuts off."""

from __future__ import annotations

import errno
import random
import select
import socket
import struct

import pytest
from datagram_kit import V4, V6, Inbox, Lists, address
from streams_kit import step_until, steps, within

UDP_SEGMENT, UDP_GRO = 103, 104
SO_NO_CHECK = 11


class Volley(Inbox):
    """Answers any datagram with some."""

    def __init__(self, answers):
        super().__init__()
        self.answers = answers

    def datagram_received(self, data, addr):
        for answer in self.answers:
            self.transport.sendto(answer, addr)


def merging(family=socket.AF_INET, local=V4):
    """A socket for which the kernel merges what came in one message, or from one card's interrupt."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    sock.bind(local)
    return sock


@pytest.fixture
def merged():
    """A socket that sees which datagrams left as one message."""
    with merging() as sock:
        yield sock


def messages(sock):
    """The sizes of the messages that are there, and those of the datagrams in each."""
    found = []
    while True:
        try:
            data, control, _, _ = sock.recvmsg(100_000, 100)
        except BlockingIOError:
            return found
        sizes = [struct.unpack("=i", value)[0] for _, kind, value in control if kind == UDP_GRO]
        found.append((len(data), *sizes))


def send_merged(sock, data, size, target):
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
    sock.sendmsg([data], control, 0, target)


def volley(reactor, endpoints, receiver, answers, **options):
    """Have an endpoint answer the receiver with these from a callback."""
    server = endpoints(lambda: Volley(answers), **(options or {"local_addr": V4}))
    receiver.sendto(b"go", address(server))
    step_until(reactor, lambda: server.transport.get_write_buffer_size() == 0 and ready(receiver))
    steps(reactor)
    return server


def ready(sock):
    return bool(select.select([sock], [], [], 0)[0])


def test_equal_datagrams_leave_as_one_message(reactor, endpoints, merged):
    volley(reactor, endpoints, merged, [b"x" * 100] * 64)
    assert messages(merged) == [(6400, 100)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100, 100, 40], [(240, 100)]),
        ([100, 40, 40], [(140, 100), (40,)]),
        ([40, 100, 100], [(40,), (200, 100)]),
        ([100, 0, 100], [(100,), (0,), (100,)]),
        ([0, 0], [(0,), (0,)]),
        ([7] * 65, [(64 * 7, 7), (7,)]),
        ([1400] * 50, [(46 * 1400, 1400), (1400,), (3 * 1400, 1400)]),  # the 47th is over the high-water mark
        ([40_000] * 2, [(40_000,)] * 2),
        ([65_507] * 2, [(65_507,)] * 2),
        ([65_399, 1], [(65_400, 65_399)]),
        ([65_400, 1], [(65_400,), (1,)]),
    ],
)
def test_what_makes_a_message(reactor, endpoints, merged, sizes, expected):
    volley(reactor, endpoints, merged, [b"x" * size for size in sizes])
    assert messages(merged) == expected


def test_another_peer_is_another_message(reactor, endpoints, merged):
    class Two(Inbox):
        def datagram_received(self, data, addr):
            for target in (addr, (*addr,), other.getsockname(), addr):
                self.transport.sendto(b"x" * 10, target)

    with merging() as other:
        server = endpoints(Two, local_addr=V4)
        merged.sendto(b"go", address(server))
        step_until(reactor, lambda: ready(other))
        assert messages(merged) == [(20, 10), (10,)]
        assert messages(other) == [(10,)]


def test_over_ipv6_too(reactor, endpoints):
    with merging(socket.AF_INET6, V6) as receiver:
        volley(reactor, endpoints, receiver, [b"x" * 100] * 5, local_addr=V6)
        assert messages(receiver) == [(500, 100)]


def test_a_connected_endpoint_and_writes_from_outside(reactor, endpoints, merged):
    asking = endpoints(remote_addr=merged.getsockname())
    within(reactor, lambda: [asking.transport.sendto(b"x" * 10) for _ in range(5)])
    steps(reactor, 1)
    assert messages(merged) == [(10,), (40, 10)]


def test_receivers_see_the_datagrams_that_were_sent(reactor, endpoints, client):
    sizes = [9] * 20 + [5, 0, 700, 700, 1, 700, 0, 0, 9, 9]
    answers = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    volley(reactor, endpoints, client, answers)
    assert [client.recv(1000) for _ in answers] == answers


class Script(Inbox):
    """Answers any datagram with some, to some."""

    script = ()
    played = 0

    def datagram_received(self, data, addr):
        for target, answer in self.script:
            self.transport.sendto(answer, target)
        self.played += 1


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_sent_arrives_as_it_was_sent(reactor, endpoints, seed):
    rng = random.Random(seed)
    server = endpoints(Script, local_addr=V4)
    peers = [endpoints(Inbox, local_addr=V4), endpoints(Inbox, sock=merging())]
    names = [address(peer) for peer in peers]
    sizes = rng.choices([0, 1, 5, 5, 5, 100, 100, 1400], k=100)
    server.script = [(rng.choice(names), bytes([i]) * size) for i, size in enumerate(sizes)]
    peers[0].transport.sendto(b"go", address(server))
    step_until(reactor, lambda: server.played and sum(len(peer.got) for peer in peers) == 100)
    steps(reactor)
    for peer, name in zip(peers, names, strict=True):
        assert [data for data, _ in peer.got] == [data for target, data in server.script if target == name]


def test_what_the_kernel_does_not_cut_leaves_one_by_one(reactor, endpoints, client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(V4)
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # without a checksum it must not be cut
        answers = [b"%02d" % i for i in range(40)]
        server = volley(reactor, endpoints, client, answers, sock=sock.dup())
        assert [client.recv(10) for _ in answers] == answers
        assert server.errors == []
        assert not ready(client)


def test_a_size_that_the_user_set_is_left_alone(reactor, endpoints, client):
    server = endpoints(lambda: Volley([b"x" * 20] * 2), local_addr=V4)
    server.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 10)
    client.sendto(b"go", address(server))
    step_until(reactor, lambda: ready(client))
    assert [client.recv(100) for _ in range(4)] == [b"x" * 10] * 4


def test_an_error_is_that_of_one_datagram(reactor, endpoints, client):
    asking = endpoints(remote_addr=client.getsockname())
    client.close()
    for _ in range(5):  # the first is refused at once, which the first of the others meets
        asking.transport.sendto(b"x" * 10)
    steps(reactor)
    assert {type(exc) for exc in asking.errors} == {ConnectionRefusedError}
    assert 1 <= len(asking.errors) <= 5
    assert asking.transport.get_write_buffer_size() == 0
    assert not asking.transport.is_closing()


# --- receiving ---


@pytest.mark.parametrize("factory", [Inbox, Lists])
@pytest.mark.parametrize(("family", "local"), [(socket.AF_INET, V4), (socket.AF_INET6, V6)])
def test_what_the_kernel_merged_is_cut_again(reactor, endpoints, factory, family, local):
    server = endpoints(factory, sock=merging(family, local))
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind(local)
        send_merged(sender, b"aaabbbcccd", 3, address(server))
        sender.sendto(b"", address(server))
        sender.sendto(b"whole", address(server))
        send_merged(sender, b"eeff", 2, address(server))
        step_until(reactor, lambda: len(server.got) == 8)
        pieces = [b"aaa", b"bbb", b"ccc", b"d", b"", b"whole", b"ee", b"ff"]
        assert server.got == [(piece, sender.getsockname()) for piece in pieces]


def test_merging_may_be_asked_for_later(reactor, endpoints, client):
    server = endpoints(local_addr=V4)
    sock = server.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_TIMESTAMPNS", 35), 1)  # it is not alone there
    sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    send_merged(client, b"aabbc", 2, address(server))
    step_until(reactor, lambda: len(server.got) == 3)
    assert [data for data, _ in server.got] == [b"aa", b"bb", b"c"]


def test_close_drops_the_rest_of_what_was_merged(reactor, endpoints, client):
    class Closing(Inbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    server = endpoints(Closing, sock=merging())
    send_merged(client, b"aabbc", 2, address(server))
    step_until(reactor, lambda: server.calls)
    assert [data for data, _ in server.got] == [b"aa"]


def test_a_wake_up_takes_few_messages_where_the_kernel_merges(core, reactor, endpoints, client):
    server = endpoints(Lists, sock=merging())
    count = 2 * core.limits.DATAGRAMS_PER_WAKEUP
    for _ in range(count):
        send_merged(client, b"x" * 64, 1, address(server))
    step_until(reactor, lambda: len(server.got) == 64 * count)
    sizes = [len(arrivals) for arrivals in server.lists]
    assert sizes[0] <= core.limits.DATAGRAMS_PER_WAKEUP * 64
    assert max(sizes[1:]) <= core.limits.MERGED_PER_WAKEUP * 64


# --- cut off ---


@pytest.fixture
def record_sender(endpoints, tmp_path):
    """A Unix endpoint, and what sends it datagrams, some too large to be received whole."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)

        def serve(factory):
            path = str(tmp_path / "records")
            server = endpoints(factory, local_addr=path, family=socket.AF_UNIX)
            sock.connect(path)
            return server

        yield sock, serve


def send_records(sock, core):
    for data in (b"1", b"2", b"x" * (core.limits.DATAGRAM_SIZE + 1), b"3"):
        sock.send(data)


def test_a_datagram_that_was_cut_off_is_an_error_in_its_place(core, reactor, record_sender):
    sock, serve = record_sender
    server = serve(Lists)
    send_records(sock, core)
    step_until(reactor, lambda: len(server.got) == 3)
    what_came = [entry if entry == errno.EMSGSIZE else [data for data, _ in entry] for entry in server.lists]
    assert what_came == [[b"1", b"2"], errno.EMSGSIZE, [b"3"]]


def test_the_end_in_error_received_drops_the_rest_of_the_list(core, reactor, record_sender):
    class Closing(Lists):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.close()

    sock, serve = record_sender
    server = serve(Closing)
    send_records(sock, core)
    step_until(reactor, lambda: server.calls)
    assert [data for data, _ in server.got] == [b"1", b"2"]


def test_a_datagram_that_was_cut_off_is_an_error_to_any_protocol(core, reactor, record_sender):
    sock, serve = record_sender
    server = serve(Inbox)
    send_records(sock, core)
    step_until(reactor, lambda: len(server.got) == 3)
    assert [data for data, _ in server.got] == [b"1", b"2", b"3"]
    assert [exc.errno for exc in server.errors] == [errno.EMSGSIZE]
