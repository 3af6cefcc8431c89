"""``uvicorn --loop cyreactor:Reactor``, as its user starts it, with blocking clients in threads."""

from __future__ import annotations

import hashlib
import http.client
import signal
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from children import finish, start
from cores import CORES
from services import CERTIFICATE, awaited, free_port
from websockets.sync.client import connect

CLIENTS = 30
BODY = hashlib.shake_128(b"body").digest(3 << 20)
# Of its WebSocket implementations the one that does not build on what websockets deprecated.
OPTIONS = ["--log-level", "warning", "--no-access-log", "--ws", "websockets-sansio"]


@pytest.fixture(params=CORES)
def serve(request):
    """uvicorn in a process; ends by Ctrl-C and complains about nothing."""

    @contextmanager
    def serve(*options):
        port = free_port()
        arguments = ["--loop", "cyreactor:Reactor", "--port", port, *OPTIONS, *options]
        process = start(request.param, "-m", "uvicorn", "asgi_app:app", *arguments)
        try:
            with awaited(port):
                yield port
        finally:
            process.send_signal(signal.SIGINT)
            output = finish(process, 20)
        assert output == ""

    return serve


def ask(port, bodies):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for body in bodies:
        connection.request("POST", "/echo", body)
        assert connection.getresponse().read() == body
    connection.close()


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_bodies_come_back_whole(serve, parser):
    with serve("--http", parser) as port, ThreadPoolExecutor(CLIENTS) as clients:
        asked = [
            clients.submit(ask, port, [b"", b"%d" % number, BODY[: number * 1000]]) for number in range(90)
        ]
        asked += [clients.submit(ask, port, [BODY]) for _ in range(3)]
        for one in asked:
            one.result(60)


def test_a_client_that_leaves_in_the_middle_does_no_harm(serve):
    with serve() as port:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
        ask(port, [b"still there?"])


def talk(port, number):
    with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as connection:
        for message in (f"client {number}", "", BODY[:number], BODY[: 900 << 10]):
            connection.send(message)
            assert connection.recv(20) == message


def test_websocket_messages_come_back_whole(serve):
    with serve() as port, ThreadPoolExecutor(CLIENTS) as clients:
        for one in [clients.submit(talk, port, number) for number in range(60)]:
            one.result(60)


def test_tls(serve):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with serve("--ssl-certfile", CERTIFICATE, "--ssl-keyfile", CERTIFICATE) as port:
        connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
        connection.request("GET", "/large")
        assert len(connection.getresponse().read()) == 4 << 20
        connection.close()
