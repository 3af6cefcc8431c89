"""HTTPProtocol and an application that errs: what cannot be sent, what is too late, what fails."""

from __future__ import annotations

import asyncio

import pytest
from http_client import GET, Client, get, recorder
from streams_kit import until

# --- what cannot be sent ---

UNSENDABLE = {
    "CR LF in a value": (200, {"X": "a\r\nSet-Cookie: b"}, b""),
    "LF in a value": (200, {"X": "a\nb"}, b""),
    "NUL in a value": (200, {"X": b"a\0b"}, b""),
    "CR LF in a name": (200, {"X: a\r\nY": "b"}, b""),
    "a colon in a name": (200, {"X:": "b"}, b""),
    "an empty name": (200, {"": "b"}, b""),
    "a wrong length": (200, {"Content-Length": "4"}, b"abc"),
    "a length that is no number": (200, {"Content-Length": "+3"}, b"abc"),
    "two lengths": (200, [("Content-Length", "3")] * 2, b"abc"),
    "a coding": (200, {"Transfer-Encoding": "chunked"}, b"abc"),
    "a body with 204": (204, (), b"abc"),
    "a body with 304": (304, (), b"abc"),
    "a status too low": (199, (), b""),
    "a status too high": (600, (), b""),
}


@pytest.mark.parametrize("what", UNSENDABLE)
def test_what_cannot_be_sent_is_refused_and_another_answer_may_follow(core, play, what):
    class Careless(recorder(core)):
        def request_received(self, request):
            with pytest.raises(ValueError):
                self.respond(*UNSENDABLE[what])
            self.respond(200, (), b"better")

    async def scenario():
        client = await Client.of(Careless)
        assert (await client.ask(GET)).body == b"better"
        assert (await client.ask(GET)).body == b"better"
        await client.leave()

    play(scenario)


def test_misuse_is_told(core, play):
    class Misusing(recorder(core)):
        def request_received(self, request):
            with pytest.raises(TypeError, match="bytes-like"):
                self.respond(200, (), "text")
            with pytest.raises(RuntimeError, match="no upgrade"):
                self.switch(asyncio.Protocol())
            for call in (self.end_response, lambda: self.send_body(b"x")):
                with pytest.raises(RuntimeError):
                    call()
            self.respond(200, (), b"fine")
            for call in (self.respond, self.start_response, self.end_response):
                with pytest.raises(RuntimeError, match="no request waits"):
                    call()

    async def scenario():
        client = await Client.of(Misusing)
        assert (await client.ask(GET)).body == b"fine"
        await client.leave()

    play(scenario)


def test_an_answer_to_a_client_that_has_left_goes_nowhere(core, play):
    class Late(recorder(core)):
        def request_received(self, request):
            self.requests.append(request)

    async def scenario():
        client = await Client.of(Late)
        client.send(GET)
        await until(lambda: client.protocol.requests)
        await client.leave()
        await client.protocol.lost  # at once, although no answer was tried
        client.protocol.respond(200, (), b"late")
        client.protocol.start_response()
        client.protocol.send_body(b"late")
        client.protocol.end_response()
        with pytest.raises(ConnectionResetError):
            await client.protocol.drain()

    play(scenario)


def test_a_client_that_sends_no_more_gets_a_late_answer_where_that_is_wished(core, play):
    class Late(recorder(core, half_close=True)):
        def request_received(self, request):
            asyncio.get_running_loop().call_later(0.01, self.respond, 200, (), request.target.encode())

    async def scenario():
        client = await Client.of(Late)
        client.send(get("/1") + get("/2"))
        client.writer.write_eof()
        assert (await client.answer()).body == b"/1"
        assert (await client.answer()).body == b"/2"
        assert await client.at_end()

    play(scenario)


# --- failures of the application ---


def test_an_exception_is_a_500_and_a_report(core, play):
    class Failing(recorder(core)):
        def request_received(self, request):
            raise ZeroDivisionError("oops")

    async def scenario():
        client = await Client.of(Failing)
        answer = await client.ask(GET * 2)
        assert (answer.status, answer.fields["connection"]) == (500, "close")
        assert b"oops" not in answer.body
        assert await client.at_end()

    (failure,) = play(scenario, may_fail=True)
    assert isinstance(failure, ZeroDivisionError)


@pytest.mark.parametrize("whole", [True, False])
def test_an_exception_after_an_answer_ends_the_connection(core, play, whole):
    class Failing(recorder(core)):
        def request_received(self, request):
            if whole:
                self.respond(200, (), b"fine")
            else:
                self.start_response()
                self.send_body(b"fine")
            raise ZeroDivisionError

    async def scenario():
        client = await Client.of(Failing)
        client.send(GET * 2)
        assert (await client.head())[0] == 200
        rest = await client.reader.read()
        assert rest == (b"fine" if whole else b"4\r\nfine\r\n")  # no last chunk: it is not complete

    (failure,) = play(scenario, may_fail=True)
    assert isinstance(failure, ZeroDivisionError)


def test_a_length_that_was_promised_is_kept(core, play):
    class Short(recorder(core)):
        def request_received(self, request):
            self.start_response(200, {"Content-Length": "5"})
            self.send_body(b"abc")
            with pytest.raises(ValueError, match="leaves 2"):
                self.send_body(b"def")
            self.end_response()

    async def scenario():
        client = await Client.of(Short)
        client.send(GET)
        assert (await client.head())[1]["content-length"] == "5"
        assert await client.reader.read() == b"abc"

    (failure,) = play(scenario, may_fail=True)
    assert "2 bytes before" in str(failure)
