"""HTTP parsers under a connection: callbacks in order, errors, held requests, another protocol after them."""

from __future__ import annotations

import asyncio

import pytest
from streams_kit import said, steps

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def server(core, streaming=False, **methods):
    """A protocol class that writes down its callbacks; ``methods`` replace some of them."""

    class Server(core.FramedProtocol):
        def __init__(self):
            self.calls = []

        def make_framer(self):
            return core.http.RequestParser(streaming=streaming, max_body=10)

        def request_received(self, request):
            self.calls.append((request.method, request.body))

        def body_received(self, piece):
            self.calls.append(piece)

        def body_ended(self, trailers):
            self.calls.append(list(trailers))

        def connection_lost(self, exc):
            self.calls.append(exc)

    return type("Server", (Server,), methods)


def test_requests_in_one_read(core, wires, reactor):
    protocol, peer = wires.attach(server(core))
    peer.sendall(HEAD + b"\r\n" + POST + b"Content-Length: 2\r\n\r\nab" + HEAD)
    steps(reactor)
    assert protocol.calls == [("GET", b""), ("POST", b"ab")]
    peer.sendall(b"\r\n")
    steps(reactor)
    assert protocol.calls[2:] == [("GET", b"")]


def test_a_streamed_body(core, wires, reactor):
    protocol, peer = wires.attach(server(core, streaming=True))
    peer.sendall(POST + b"Content-Length: 5\r\n\r\nabc")
    steps(reactor)
    assert protocol.calls == [("POST", b""), b"abc"]
    peer.sendall(
        b"de" + POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n" + HEAD + b"\r\n"
    )
    steps(reactor)
    assert protocol.calls[2:] == [b"de", [], ("POST", b""), b"x", [(b"A", b"b")], ("GET", b""), []]


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"nonsense\r\n", 400), (POST + b"Content-Length: 11\r\n\r\n", 413), (HEAD + b"a" * 9000, 431)],
)
def test_a_fault_ends_the_connection(core, wires, reactor, data, status):
    protocol, peer = wires.attach(server(core))
    peer.sendall(HEAD + b"\r\n")
    steps(reactor)
    for i in range(0, len(data), 2000):
        peer.sendall(data[i : i + 2000])
        steps(reactor)
    answer, exc = protocol.calls
    assert answer == ("GET", b"")
    assert isinstance(exc, core.http.HTTPError)
    assert exc.status == status


@pytest.mark.parametrize("name", ["request_received", "body_received", "body_ended"])
def test_an_error_in_a_callback_is_reported_by_its_name(core, wires, reactor, name):
    def fail(self, *args):
        raise RuntimeError("as planned")

    _, peer = wires.attach(server(core, streaming=True, **{name: fail}))
    peer.sendall(POST + b"Content-Length: 2\r\n\r\nab")
    steps(reactor)
    [message] = said(reactor)
    assert name in message


def test_continue_expected_is_called_once_before_the_body(core, wires, reactor):
    def expected(self, request):
        self.calls.append("expected")
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    protocol, peer = wires.attach(server(core, continue_expected=expected))
    peer.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    steps(reactor)
    assert peer.recv(100).startswith(b"HTTP/1.1 100")
    peer.sendall(b"a")
    steps(reactor)
    peer.sendall(b"b")
    steps(reactor)
    assert protocol.calls == ["expected", ("POST", b"ab")]


def test_nobody_is_told_to_go_on_who_does_not_wait(core, wires, reactor):
    protocol, peer = wires.attach(
        server(core, continue_expected=lambda self, request: self.calls.append("expected"))
    )
    peer.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
    steps(reactor)
    assert protocol.calls == [("POST", b"ab")]


def test_requests_that_are_held_come_when_reading_goes_on(core, wires, reactor):
    def hold(self, request):
        self.calls.append(request.method)
        self.framer.held = True
        self.transport.pause_reading()

    protocol, peer = wires.attach(server(core, request_received=hold))
    peer.sendall((HEAD + b"\r\n") * 2)
    steps(reactor)
    assert protocol.calls == ["GET"]
    protocol.framer.held = False
    protocol.transport.resume_reading()
    steps(reactor)
    assert protocol.calls == ["GET", "GET"]


def test_a_callback_may_feed_the_parser(core, wires, reactor):
    def feed(self, request):
        self.calls.append(request.target)
        if len(self.calls) < 50:
            self.framer.feed(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % len(self.calls))

    protocol, peer = wires.attach(server(core, request_received=feed))
    peer.sendall((HEAD + b"\r\n") * 2)
    steps(reactor)
    assert protocol.calls == ["/", "/", *(f"/{i}" for i in range(1, 50))]


def test_a_callback_may_take_the_rest(core, wires, reactor):
    def take(self, request):
        self.calls.append(self.framer.take())

    protocol, peer = wires.attach(server(core, request_received=take))
    peer.sendall(HEAD + b"\r\n" + HEAD + b"\r\nrest")
    steps(reactor)
    assert protocol.calls == [HEAD + b"\r\nrest"]


def test_another_protocol_gets_what_follows_an_upgrade(core, wires, reactor):
    class Raw(asyncio.Protocol):
        received = b""

        def data_received(self, data):
            self.received += data

    raw = Raw()
    protocol, peer = wires.attach(
        server(core, request_received=lambda self, _: self.transport.set_protocol(raw))
    )
    peer.sendall(HEAD + b"Connection: upgrade\r\nUpgrade: raw\r\n\r\n\0\1\2")
    steps(reactor)
    peer.sendall(b"\3")
    steps(reactor)
    assert raw.received == b"\0\1\2\3"
    assert protocol.calls == []


def test_the_end_of_the_stream_gives_the_last_response(core, wires, reactor):
    class Client(core.FramedProtocol):
        def __init__(self):
            self.calls = []

        def make_framer(self):
            return core.http.ResponseParser()

        def response_received(self, response):
            self.calls.append(response.body)

        def eof_received(self):
            self.framer.feed_eof()

    protocol, peer = wires.attach(Client)
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nabc")
    steps(reactor)
    assert protocol.calls == []
    peer.close()
    steps(reactor)
    assert protocol.calls == [b"abc"]
