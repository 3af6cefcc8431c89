"""Bodies of requests: whole or in pieces, expected or refused; and what a client may make a server hold."""

from __future__ import annotations

import asyncio

import pytest
from http_client import GET, Client, get
from streams_kit import until

CONTINUE = 100


def echo(core, **attributes):
    """A protocol that answers with the body of the request."""

    class Echo(core.http.HTTPProtocol):
        def __init__(self):
            self.calls = []

        def request_received(self, request):
            self.calls.append(request.target)
            self.respond(200, (), request.body)

    return type("Echo", (Echo,), attributes)


def streaming(core, **attributes):
    """A protocol that writes down what comes and answers at the end of each body."""

    class Streaming(core.http.HTTPProtocol):
        streaming = True

        def __init__(self):
            self.calls = []

        def request_received(self, request):
            self.calls.append(request.target)
            self.received = b""

        def body_received(self, piece):
            assert type(piece) is bytes
            assert piece
            self.received += piece

        def body_ended(self, trailers):
            self.calls.append("end")
            self.respond(200, (("X-Trailers", str(len(trailers))),), self.received)

    return type("Streaming", (Streaming,), attributes)


def chunked(*pieces, **fields):
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return get("/chunked", "POST", body=body, Transfer_Encoding="chunked", **fields)


@pytest.mark.parametrize("make", [echo, streaming])
def test_bodies_come_however_they_are_framed_and_cut(core, play, make):
    async def scenario():
        client = await Client.of(make(core))
        big = bytes(range(256)) * 1000
        requests = {
            b"hello": get("/counted", "POST", body=b"hello", Content_Length=5),
            b"onethree": chunked(b"one", b"three"),
            b"": GET,
            big: get("/big", "PUT", body=big, Content_Length=len(big)),
        }
        for body, request in requests.items():
            assert (await client.ask(request)).body == body
        client.send(b"".join(requests.values()))
        for body in requests:
            assert (await client.answer()).body == body
        for byte in requests[b"onethree"]:
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"onethree"
        await client.leave()

    play(scenario)


@pytest.mark.parametrize("make", [echo, streaming])
def test_a_client_that_waits_for_100_is_told_once(core, play, make):
    async def scenario():
        client = await Client.of(make(core))
        for request in (
            get("/", "POST", Content_Length=5, Expect="100-continue"),
            get("/", "POST", Transfer_Encoding="chunked", Expect="100-Continue"),
        ):
            assert (await client.ask(request)).status == CONTINUE
            for byte in b"hello" if b"Length" in request else b"5\r\nhello\r\n0\r\n\r\n":
                client.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await client.answer()).body == b"hello"
        whole = get("/", "POST", body=b"sent", Content_Length=4, Expect="100-continue")
        assert (await client.ask(whole)).body == b"sent"  # nothing to wait for
        assert (await client.ask(get(Expect="100-continue"))).status == 200  # no body to wait for
        await client.leave()

    play(scenario)


def test_an_answer_before_the_body_spares_it(core, play):
    """The client has not been told to send it, and may or may not do so: the connection ends."""

    class Refusing(streaming(core)):
        def request_received(self, request):
            self.respond(403, (), b"no")

        def body_ended(self, trailers):
            """Nothing is left to do."""

    async def scenario():
        client = await Client.of(Refusing)
        answer = await client.ask(get("/", "POST", Content_Length=5, Expect="100-continue"))
        assert (answer.status, answer.body, answer.fields["connection"]) == (403, b"no", "close")
        assert await client.at_end()

    play(scenario)


def test_an_error_does_not_wait_for_a_body_and_the_client_can_read_it(core, play):
    class Refusing(streaming(core)):
        def request_received(self, request):
            self.respond(413, (), b"too much")

        def body_ended(self, trailers):
            self.calls.append("end")

    async def scenario():
        client = await Client.of(Refusing)
        client.send(get("/", "POST", Content_Length=1_000_000))
        client.send(bytes(900_000))  # far more than the kernel holds: it is thrown away there
        answer = await client.answer()
        assert (answer.status, answer.body, answer.fields["connection"]) == (413, b"too much", "close")
        assert await client.at_end()
        assert client.protocol.calls == []

    play(scenario)


def test_an_early_answer_that_is_no_error_lets_the_body_come(core, play):
    class Early(streaming(core)):
        def request_received(self, request):
            super().request_received(request)
            self.respond(202, (), b"early")

        def body_ended(self, trailers):
            self.calls.append(self.received)

    async def scenario():
        client = await Client.of(Early)
        assert (await client.ask(get("/1", "POST", Content_Length=5))).body == b"early"
        client.send(b"hello" + get("/2"))
        assert (await client.answer()).body == b"early"
        await until(lambda: len(client.protocol.calls) == 4)
        assert client.protocol.calls == ["/1", b"hello", "/2", b""]
        await client.leave()

    play(scenario)


def test_the_application_may_hold_the_body_back(core, play):
    class Slow(streaming(core)):
        def body_received(self, piece):
            super().body_received(piece)
            self.pause_reading()
            asyncio.get_running_loop().call_later(0.002, self.resume_reading)

    async def scenario():
        client = await Client.of(Slow)
        body = bytes(300_000)
        assert (await client.ask(get("/", "POST", body=body, Content_Length=len(body)))).body == body
        assert (await client.ask(chunked(b"a", b"b", b"c"))).body == b"abc"
        await client.leave()

    play(scenario)


# --- what is refused: the request, and the status ---

MANY = "".join(f"X{i}: y\r\n" for i in range(200))
REFUSED = {
    "nonsense": (b"hello\r\n\r\n", 400),
    "a TLS handshake": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "a folded field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    "two lengths": (get(method="POST", Content_Length="1", Content_length="1") + b"x", 400),
    "a signed length": (get(method="POST", Content_Length="+1") + b"x", 400),
    "a length and a coding": (get(method="POST", Content_Length="1", Transfer_Encoding="chunked"), 400),
    "an unknown coding": (get(method="POST", Transfer_Encoding="gzip, chunked"), 501),
    "a bad chunk": (get(method="POST", Transfer_Encoding="chunked") + b"x\r\n", 400),
    "a huge chunk": (get(method="POST", Transfer_Encoding="chunked") + b"fffffffffffffff\r\n", 413),
    "a body over the limit": (get(method="POST", Content_Length="1001"), 413),
    "chunks over the limit": (chunked(bytes(600), bytes(600)), 413),
    "a length beyond all bounds": (get(method="POST", Content_Length="9" * 30), 413),
    "a long request line": (get("/" + "x" * 10_000), 414),
    "a request line without an end": (b"GET /" + b"x" * 10_000, 414),
    "a long field": (get(X="y" * 10_000), 431),
    "too many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + MANY.encode() + b"\r\n", 431),
    "another version": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "another expectation": (get(Expect="the-unexpected"), 417),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("make", [echo, streaming])
def test_what_is_malformed_or_too_large_is_answered_once_and_ends_the_connection(core, play, make, what):
    request, status = REFUSED[what]

    async def scenario():
        client = await Client.of(make(core, max_body=1000))
        client.send(request + GET)
        answer = await client.answer()
        assert (answer.status, answer.fields["connection"]) == (status, "close")
        assert answer.body.startswith(b"%d " % status)
        client.send(GET * 10)
        assert await client.at_end()

    play(scenario)


def test_what_comes_before_it_is_answered(core, play):
    async def scenario():
        client = await Client.of(echo(core))
        client.send(get("/1") + get("/2", "POST", body=b"two", Content_Length=3) + b"nonsense\r\n\r\n")
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]
        assert await client.at_end()

    play(scenario)


def test_a_body_that_goes_wrong_after_the_answer_has_begun_ends_the_connection(core, play):
    class Early(streaming(core)):
        def request_received(self, request):
            self.start_response(200)
            self.send_body(b"early")

    async def scenario():
        client = await Client.of(Early)
        client.send(get(method="POST", Transfer_Encoding="chunked"))
        assert (await client.head())[0] == 200
        client.send(b"nonsense\r\n")
        assert await client.reader.read() == b"5\r\nearly\r\n"  # no last chunk: it is not complete

    play(scenario)


# --- what a client may make the server hold ---


def test_a_client_that_asks_ahead_is_not_read_from(core, play):
    class Late(echo(core)):
        def request_received(self, request):
            self.calls.append(request)

    async def scenario():
        client = await Client.of(Late)
        count = 20_000
        client.send(GET * count)
        await until(lambda: client.protocol.calls)
        for _ in range(50):
            await asyncio.sleep(0)
        assert client.protocol._parser.pending <= core.limits.BYTES_AHEAD + 256 * 1024  # a read of asyncio's
        assert len(client.protocol.calls) == 1
        answers = asyncio.create_task(client.reader.read())
        client.protocol.request_received = lambda request: client.protocol.respond(204)
        client.protocol.respond(204)
        client.writer.write_eof()
        assert (await answers).count(b"HTTP/1.1 204 No Content\r\n") == count

    play(scenario)


def test_a_client_that_takes_no_answers_is_asked_no_more(core, play):
    class Big(echo(core)):
        def request_received(self, request):
            self.calls.append(request)
            self.respond(200, (), bytes(50_000))

    async def scenario():
        client = await Client.of(Big)
        client.reader._limit = 1000  # the client reads a little, then stops
        count = 400
        client.send(GET * count)
        await until(lambda: client.protocol._throttled)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(client.protocol.calls) < 100
        for _ in range(count):
            assert len((await client.answer()).body) == 50_000
        assert len(client.protocol.calls) == count
        await client.leave()

    play(scenario)


# --- timeouts: what the client sends and stops at, and how it ends ---

SLOW = {
    "nothing": (b"", None),
    "half a request line": (b"GET /", 408),
    "half a head": (b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
    "half a body": (get(method="POST", body=b"abc", Content_Length=5), 408),
    "half a chunked body": (get(method="POST", body=b"3\r\nab", Transfer_Encoding="chunked"), 408),
}


@pytest.mark.parametrize("what", SLOW)
@pytest.mark.parametrize(("make", "first"), [(echo, True), (streaming, False)])
def test_a_client_that_is_too_slow_is_left(core, play, make, what, first):
    sent, status = SLOW[what]
    timeouts = dict.fromkeys(("head_timeout", "keep_alive_timeout", "body_timeout"), 0.02)

    async def scenario():
        client = await Client.of(make(core, **timeouts))
        if not first:
            assert (await client.ask(GET)).status == 200
        client.send(sent)
        if status is not None:
            answer = await client.answer()
            assert (answer.status, answer.fields["connection"]) == (status, "close")
        assert await client.at_end()

    play(scenario)


def test_a_head_that_comes_drop_by_drop_is_too_slow_and_a_body_is_not(core, play):
    async def scenario():
        client = await Client.of(echo(core, head_timeout=0.04, body_timeout=0.2))
        client.send(get(method="POST", Content_Length=10))
        for _ in range(10):
            await asyncio.sleep(0.025)
            client.send(b"x")
        assert (await client.answer()).body == b"x" * 10
        client.send(b"GET / HTTP/1.1\r\n")
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            client.send(b"X: y\r\n")
            await asyncio.sleep(0.005)
        assert answer.result().status == 408
        assert await client.at_end()

    play(scenario)


def test_the_application_may_take_its_time(core, play):
    class Late(echo(core)):
        def request_received(self, request):
            asyncio.get_running_loop().call_later(0.1, self.respond, 200, (), b"late")

    async def scenario():
        timeouts = dict.fromkeys(("head_timeout", "keep_alive_timeout", "body_timeout", "send_timeout"), 0.02)
        client = await Client.of(type("Late", (Late,), timeouts))
        assert (await client.ask(GET)).body == b"late"
        assert await client.at_end()

    play(scenario)


def test_a_client_that_takes_nothing_is_left(core, play):
    class Big(echo(core, send_timeout=0.04)):
        lost = False

        def request_received(self, request):
            self.respond(200, {"Connection": "close"} if request.target == "/close" else (), bytes(5_000_000))

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.lost = True

    async def scenario():
        for target in ("/", "/close"):
            client = await Client.of(Big)
            client.writer.transport.pause_reading()
            client.send(get(target))
            await until(lambda client=client: client.protocol.lost)

    play(scenario)
