"""The load generator: it counts what was answered, and says what went wrong."""

from __future__ import annotations

import contextlib
import importlib
import socket
import threading
import time

import pytest
from load_kit import drip, echo, half, serving


@pytest.fixture
def load(core):
    return importlib.import_module(f"cyreactor._{core.backend}.load")


@pytest.mark.parametrize("size", [1, 1000, 3_000_000])
def test_it_counts_the_answers(load, size):
    with serving(echo) as (port, accepted):
        generator = load.StreamLoad(port, 3, b"x" * size, size)
        for _ in range(2):
            completed, total, lost, cpu, histogram = generator.run(0.05)
            assert 0 < total <= completed + 3
            assert sum(histogram) == total
            assert lost == 0
            assert cpu > 0
        generator.close()
        assert len(accepted) == 3


def test_a_connection_for_each_request(load):
    with serving(echo) as (port, accepted):
        generator = load.StreamLoad(port, 2, b"hello", 5, True)
        _, total, _, _, _ = generator.run(0.05)
        generator.close()
        assert total == len(accepted) > 2


def test_a_latency_is_that_of_the_answer(load):
    def slowly(sock):
        while data := sock.recv(100):
            time.sleep(0.02)
            sock.sendall(data)

    with serving(slowly) as (port, _):
        generator = load.StreamLoad(port, 1, b"x", 1)
        _, total, _, _, histogram = generator.run(0.03)
        generator.close()
    latency = importlib.import_module("cyreactor.compare.results")
    assert total in (1, 2)
    assert 20e3 * 0.98 < latency.quantile(histogram, 0.01) < 5e6


@pytest.mark.parametrize(
    ("handler", "size", "answer", "error", "why"),
    [
        (half, 2, 2, TimeoutError, "does not answer"),
        (drip, 100, 100, TimeoutError, "too slow"),
        (echo, 2, 1, ConnectionError, "more than was expected"),
        (lambda sock: sock.recv(1), 1, 1, ConnectionError, "closed a connection"),
        (lambda sock: sock.sendall(sock.recv(1)), 1, 2, ConnectionError, "closed a connection"),
    ],
)
def test_a_server_that_does_not_answer_as_expected(load, handler, size, answer, error, why):
    with serving(handler) as (port, _):
        generator = load.StreamLoad(port, 1, b"x" * size, answer)
        with pytest.raises(error, match=why):
            generator.run(0.01, 0.3)
        generator.close()


def test_nobody_listens(load):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionError):
            load.StreamLoad(port, 1, b"x", 1)
        generator = load.StreamLoad(port, 1, b"x", 1, True)
        with pytest.raises(ConnectionError):
            generator.run(0.01)
        generator.close()


def test_a_closed_one_does_not_run(load):
    with serving(echo) as (port, _):
        generator = load.StreamLoad(port, 1, b"x", 1)
        generator.close()
        generator.close()
        with pytest.raises(ValueError, match="closed"):
            generator.run(0.01)


@contextlib.contextmanager
def datagrams(every):
    """A server that answers the datagrams whose number ``every`` says yes to."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def answer():
        number = 0
        while (received := sock.recvfrom(2048))[0] != b"end":
            number += 1
            if every(number):
                sock.sendto(*received)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        sock.sendto(b"end", sock.getsockname())
        thread.join()
        sock.close()


def test_bursts_of_datagrams(load):
    with datagrams(lambda number: True) as port:
        generator = load.DatagramLoad(port, 2, b"hello", 8)
        completed, total, lost, _, histogram = generator.run(0.05)
        generator.close()
    assert 0 < total <= completed + 2
    assert sum(histogram) == total
    assert lost == 0


def test_datagrams_that_never_come_are_counted(load):
    with datagrams(lambda number: number != 5) as port:
        generator = load.DatagramLoad(port, 1, b"hello", 8)
        _, total, lost, _, _ = generator.run(0.5)
        generator.close()
    assert lost == 1
    assert total > 0
