"""HTTPProtocol on the reactor and on other loops: what is answered, in which order, and what ends it."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

import pytest
from http_client import GET, LARGE, Client, get, recorder
from streams_kit import until

from cyreactor.http.gathering import forgets_to_pause

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"


# --- the usual ---


def test_a_request_is_answered_with_what_belongs_to_an_answer(core, play):
    async def scenario():
        client = await Client.of(recorder(core))
        answer = await client.ask(get("/one?two"))
        assert answer.status == 200
        assert answer.body == b"/one?two"
        assert answer.fields.keys() == {"date", "content-type", "content-length"}
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.fields["date"])
        assert (await client.ask(get("/again"))).body == b"/again"
        await client.leave()
        assert await client.protocol.lost is None

    play(scenario)


def test_a_request_may_come_byte_by_byte_with_its_body(core, play):
    async def scenario():
        client = await Client.of(recorder(core))
        for byte in get("/x", "POST", body=b"hello", Content_Length=5):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"/x"
        request = client.protocol.requests[0]
        assert (request.method, request.body, request.headers.get("host")) == ("POST", b"hello", b"x")
        await client.leave()

    play(scenario)


def test_pipelined_requests_are_answered_in_order(core, play):
    async def scenario():
        client = await Client.of(recorder(core))
        targets = [f"/{i}" for i in range(200)]
        client.send(b"".join(map(get, targets)))
        assert [(await client.answer()).body.decode() for _ in targets] == targets
        await client.leave()

    play(scenario)


def test_answers_that_come_late_keep_the_order_and_one_is_asked_at_a_time(core, play):
    class Late(recorder(core)):
        def request_received(self, request):
            self.requests.append(request)
            asyncio.get_running_loop().call_later(0.002, self.respond, 200, (), request.target.encode())

    async def scenario():
        client = await Client.of(Late)
        targets = [f"/{i}" for i in range(5)]
        client.send(b"".join(map(get, targets)))
        for count, target in enumerate(targets, 1):
            assert (await client.answer()).body.decode() == target
            assert len(client.protocol.requests) <= count + 1
        await client.leave()

    play(scenario)


def test_a_task_may_answer(core, play):
    class Tasks(recorder(core)):
        def request_received(self, request):
            self.task = asyncio.get_running_loop().create_task(self.answer(request))

        async def answer(self, request):
            await asyncio.sleep(0)
            self.respond(201, {"X-Body": str(len(request.body))}, request.body)

    async def scenario():
        client = await Client.of(Tasks)
        for body in (b"one", b"", b"three"):
            answer = await client.ask(get(method="POST", body=body, Content_Length=len(body)))
            assert (answer.status, answer.body, answer.fields["x-body"]) == (201, body, str(len(body)))
        await client.leave()

    play(scenario)


# --- framing and persistence ---

# What is asked, what answer is given, and what must be on the wire: the fields that frame, and the body.
FRAMED = {
    "a body": (GET, (200, (), b"abc"), {"content-length": "3"}, b"abc"),
    "an empty body": (GET, (200, (), b""), {"content-length": "0"}, b""),
    "a body that is not bytes": (GET, (200, (), memoryview(b"abc")), {"content-length": "3"}, b"abc"),
    "HEAD": (get(method="HEAD"), (200, (), b"abc"), {"content-length": "3"}, b""),
    "HEAD without the body": (
        get(method="HEAD"), (200, {"Content-Length": "7"}, b""), {"content-length": "7"}, b"",
    ),
    "204": (GET, (204, (), b""), {}, b""),
    "304": (GET, (304, (), b""), {}, b""),
    "304 with a length": (GET, (304, {"Content-Length": "9"}, b""), {"content-length": "9"}, b""),
    "a length of one's own": (GET, (200, {"content-length": b"3"}, b"abc"), {"content-length": "3"}, b"abc"),
    "a date of one's own": (GET, (200, {"Date": "now"}, b""), {"content-length": "0", "date": "now"}, b""),
    "an unknown status": (GET, (299, (), b"x"), {"content-length": "1"}, b"x"),
}  # fmt: skip


@pytest.mark.parametrize("what", FRAMED)
def test_answers_are_framed_as_the_request_and_the_status_demand(core, play, what):
    request, given, framing, body = FRAMED[what]
    method = request.split()[0].decode()

    class Answering(recorder(core)):
        def request_received(self, request):
            self.respond(*given)

    async def scenario():
        client = await Client.of(Answering)
        for _ in range(2):  # the second time it may have been remembered
            answer = await client.ask(request, method)
            assert (answer.status, answer.body) == (given[0], body)
            answer.fields.setdefault("date", "")
            assert framing.items() <= answer.fields.items()
            assert answer.fields.keys() - framing.keys() == {"date"} - framing.keys()
        await client.leave()

    play(scenario)


# The version and the Connection field of a request, whether the connection goes on, and what the answer says.
PERSISTENCE = [
    ("1.1", None, True, None),
    ("1.1", "close", False, "close"),
    ("1.1", "keep-alive", True, None),
    ("1.0", None, False, "close"),
    ("1.0", "keep-alive", True, "keep-alive"),
]


@pytest.mark.parametrize(("version", "asked", "goes_on", "says"), PERSISTENCE)
@pytest.mark.parametrize("whole", [True, False])
def test_a_connection_goes_on_as_both_sides_agree(core, play, version, asked, goes_on, says, whole):
    class Answering(recorder(core)):
        def request_received(self, request):
            if whole:
                self.respond(200, (), b"abc")
                return
            self.start_response(200, {"Content-Length": "3"})
            self.send_body(b"abc")
            self.end_response()

    async def scenario():
        client = await Client.of(Answering)
        request = get(version=version, **({"Connection": asked} if asked else {}))
        answer = await client.ask(request * 2)
        assert answer.body == b"abc"
        assert answer.fields.get("connection") == says
        if goes_on:
            assert (await client.answer()).body == b"abc"
            await client.leave()
        else:
            assert await client.at_end()
        await client.protocol.lost

    play(scenario)


def test_the_application_may_end_the_connection(core, play):
    class Closing(recorder(core)):
        def request_received(self, request):
            self.requests.append(request)
            self.respond(200, {"Connection": "close"}, b"bye")

    async def scenario():
        client = await Client.of(Closing)
        answer = await client.ask(GET * 3)
        assert (answer.body, answer.fields["connection"]) == (b"bye", "close")
        assert await client.at_end()
        assert len(client.protocol.requests) == 1

    play(scenario)


# --- answers in pieces ---


class Pieces:
    pieces = (b"one", b"", b"two" * 10_000, b"three")
    fields = ()

    def request_received(self, request):
        self.start_response(200, self.fields)
        for piece in self.pieces:
            self.send_body(piece)
        self.end_response()


# The request, the answer's fields, and how the body must be framed.
PIECES = {
    "chunked": (GET, {}, "chunked"),
    "a known length": (GET, {"Content-Length": str(sum(map(len, Pieces.pieces)))}, None),
    "HTTP/1.0": (get(version="1.0", Connection="keep-alive"), {}, None),
    "HEAD": (get(method="HEAD"), {}, "chunked"),
}


@pytest.mark.parametrize("what", PIECES)
def test_an_answer_may_come_in_pieces(core, play, what):
    request, fields, coding = PIECES[what]
    method = request.split()[0].decode()

    async def scenario():
        client = await Client.of(type("P", (Pieces, recorder(core)), {"fields": fields}))
        for _ in range(2 if what != "HTTP/1.0" else 1):
            answer = await client.ask(request, method)
            assert answer.body == (b"" if method == "HEAD" else b"".join(Pieces.pieces))
            assert answer.fields.get("transfer-encoding") == coding
        if what == "HTTP/1.0":
            assert answer.fields["connection"] == "close"
        await client.leave()

    play(scenario)


def test_a_stream_waits_for_a_client_that_is_slow(core, play):
    class Endless(recorder(core)):
        sent = 0

        def request_received(self, request):
            self.task = asyncio.get_running_loop().create_task(self.stream())

        async def stream(self):
            self.start_response(200)
            with pytest.raises(ConnectionResetError):
                while True:
                    self.send_body(bytes(10_000))
                    self.sent += 10_000
                    await self.drain()

    async def scenario():
        client = await Client.of(Endless)
        await client.ask(GET, "HEAD")
        await asyncio.sleep(0.05)
        protocol = client.protocol
        before = protocol.sent
        assert before < 3_000_000
        await client.reader.readexactly(2_000_000)
        await until(lambda: protocol.sent > before)
        await client.leave()
        await protocol.task

    play(scenario)


@pytest.mark.parametrize(
    ("version", "forgets"),
    [
        ((3, 11, 14), False),
        ((3, 12, 0), True),
        ((3, 12, 8, "final", 0), True),
        ((3, 12, 9), False),
        ((3, 13, 0), True),
        ((3, 13, 1, "final", 0), True),
        ((3, 13, 2), False),
        ((3, 14, 0), False),
    ],
)
def test_pieces_are_joined_where_asyncio_would_not_hold_back_who_writes_them(version, forgets):
    assert forgets_to_pause(version) is forgets


# --- another protocol ---


class Tunnel(asyncio.Protocol):
    """Tells of itself, and sends everything back."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedTunnel(asyncio.BufferedProtocol):
    def __init__(self):
        self.memory = bytearray(3)

    connection_made = Tunnel.connection_made

    def get_buffer(self, hint):
        return self.memory

    def buffer_updated(self, count):
        self.transport.write(self.memory[:count])


@pytest.mark.parametrize("tunnel", [Tunnel, BufferedTunnel])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("request_", "status", "agreed"), [
    (get(Connection="Upgrade", Upgrade="echo/1"), 101, "echo/1"),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 200, None),
])  # fmt: skip
def test_a_connection_is_handed_to_another_protocol(core, play, tunnel, late, request_, status, agreed):
    class Switching(recorder(core)):
        def request_received(self, request):
            if late:
                asyncio.get_running_loop().call_later(0.002, self.switch, tunnel(), {"X": "y"})
            else:
                self.switch(tunnel(), {"X": "y"})

    async def scenario():
        client = await Client.of(Switching)
        client.send(request_ + b"GET /raw bytes")
        found, fields = await client.head()
        assert (found, fields.get("upgrade"), fields["x"]) == (status, agreed, "y")
        assert await client.reader.readexactly(14) == b"GET /raw bytes"
        client.send(b"more")
        assert await client.reader.readexactly(4) == b"more"
        await client.leave()

    play(scenario)


def test_an_upgrade_that_is_not_agreed_to_leaves_http(core, play):
    async def scenario():
        client = await Client.of(recorder(core))
        count = 1500  # more than Python calls that are inside of each other
        client.send(get("/1", Connection="Upgrade", Upgrade="x") * count + get("/2"))
        for _ in range(count):
            assert (await client.answer()).body == b"/1"
        assert (await client.answer()).body == b"/2"
        await client.leave()

    play(scenario)


# --- TLS ---


def test_it_speaks_over_tls_too(core, play, tmp_path):
    """What a plain connection has, and TLS lacks: a half-close, and sendfile."""
    (tmp_path / "large.bin").write_bytes(LARGE)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    client_side = ssl.create_default_context()
    server_side.load_cert_chain(CERTIFICATE)
    client_side.load_verify_locations(CERTIFICATE)

    async def scenario():
        loop = asyncio.get_running_loop()
        factory = core.http.FileProtocol.factory(tmp_path)
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_side)
        address = server.sockets[0].getsockname()
        streams = await asyncio.open_connection(*address, ssl=client_side, server_hostname="localhost")
        client = Client(None, *streams)
        for _ in range(2):
            assert (await client.ask(get("/large.bin"))).body == LARGE
        assert (await client.ask(b"nonsense\r\n\r\n")).status == 400
        assert await client.at_end()
        server.close()

    play(scenario)
