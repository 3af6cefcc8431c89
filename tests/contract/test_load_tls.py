"""The load generator's TLS connections: they count what was answered, and say what went wrong."""

from __future__ import annotations

import importlib
import socket
import ssl
from pathlib import Path

import pytest
from load_kit import drip, echo, serving

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"


@pytest.fixture
def TLSLoad(core):
    load = importlib.import_module(f"cyreactor._{core.backend}.load_tls").TLSLoad
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return lambda *arguments: load(*arguments, context)


def encrypted(handler, version=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.maximum_version = version

    def handle(sock):
        with context.wrap_socket(sock, server_side=True) as tls:
            handler(tls)

    return handle


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_it_counts_the_answers(TLSLoad, size, version):
    with serving(encrypted(echo, version)) as (port, accepted):
        generator = TLSLoad(port, 3, b"x" * size, size)
        for _ in range(2):
            completed, total, _, cpu, histogram = generator.run(0.05)
            assert 0 < total <= completed + 3
            assert sum(histogram) == total
            assert cpu > 0
        generator.close()
        assert len(accepted) == 3


def babble(sock):
    """Answer, and then break the protocol."""
    sock.recv(1)
    plain = socket.socket(fileno=sock.detach())
    plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    plain.recv(1)
    plain.close()


@pytest.mark.parametrize(
    ("handler", "answer", "error", "why"),
    [
        (drip, 1, TimeoutError, "too slow|does not answer"),
        (echo, 1, ConnectionError, "more than was expected"),
        (lambda sock: sock.recv(1), 1, ConnectionError, "closed a connection"),
        (babble, 1, ssl.SSLError, "(?i)bad record mac|decryption failed|record layer"),
    ],
)
def test_a_server_that_does_not_answer_as_expected(TLSLoad, handler, answer, error, why):
    with serving(encrypted(handler)) as (port, _):
        generator = TLSLoad(port, 1, b"x" * 100, answer * (100 if handler is drip else 1))
        with pytest.raises(error, match=why):
            generator.run(0.01, 0.3)
        generator.close()


def test_a_server_without_tls(TLSLoad):
    with serving(echo) as (port, _), pytest.raises(ssl.SSLError):
        TLSLoad(port, 1, b"x", 1)


def test_a_server_that_closes_instead_of_a_handshake(TLSLoad):
    with serving(lambda sock: sock.recv(1)) as (port, _), pytest.raises(OSError):
        TLSLoad(port, 1, b"x", 1)


def test_a_closed_one_does_not_run(TLSLoad):
    with serving(encrypted(echo)) as (port, _):
        generator = TLSLoad(port, 1, b"x", 1)
        generator.close()
        generator.close()
        with pytest.raises(ValueError, match="closed"):
            generator.run(0.01)
