"""Where datagrams come from and go to, as the socket module writes it: all of 127/8 is this machine."""

from __future__ import annotations

import socket

import pytest
from datagram_kit import Inbox, address
from streams_kit import step_until

HOSTS = ["127.0.0.1", "127.9.10.99", "127.100.199.200", "127.255.255.254"]


@pytest.mark.parametrize("host", HOSTS)
def test_an_address_is_what_the_socket_module_says(reactor, endpoints, host):
    server = endpoints(Inbox, local_addr=(host, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.settimeout(5)
        peer.sendto(b"question", address(server))
        step_until(reactor, lambda: server.got)
        assert server.got == [(b"question", peer.getsockname())]
        server.transport.sendto(b"answer", (host, peer.getsockname()[1]))
        assert peer.recvfrom(10) == (b"answer", address(server))


@pytest.mark.parametrize("host", ["127.0.0.01", "127.1", "0x7f.0.0.1"])
def test_what_only_the_socket_module_reads_is_left_to_it(endpoints, client, host):
    asking = endpoints(Inbox, local_addr=("127.0.0.1", 0))
    asking.transport.sendto(b"x", (host, client.getsockname()[1]))
    assert client.recv(10) == b"x"


@pytest.mark.parametrize("port", ["80", 80.0, 2**70, -1, 0x10000])
def test_a_port_is_an_integer_of_16_bits(endpoints, port):
    asking = endpoints(Inbox, local_addr=("127.0.0.1", 0))
    with pytest.raises((TypeError, OverflowError)):
        asking.transport.sendto(b"x", ("127.0.0.1", port))
