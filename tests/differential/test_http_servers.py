"""HTTPProtocol says the same on both cores, whatever comes and however it is cut."""

from __future__ import annotations

import asyncio
import re

import pytest
from cores import CORES, load_core
from http_kit import damaged, messages, places
from hypothesis import given
from hypothesis import strategies as st

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire:
    """A transport into memory."""

    def __init__(self):
        self.sent = b""
        self.closing = False

    def write(self, data):
        assert not self.closing
        self.sent += data

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def close(self):
        self.closing = True

    def is_closing(self):
        return self.closing

    def can_write_eof(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        """Nothing is read here."""

    resume_reading = pause_reading


def whole(core):
    class Whole(core.http.HTTPProtocol):
        max_body, max_head, max_headers = 20, 200, 5

        def request_received(self, request):
            if request.target == "/a":
                self.respond(404, [("X", request.method)], request.body)
            else:
                self.respond(200, (("Content-Type", "text/plain"),), b"fine")

    return Whole


def in_pieces(core):
    class Pieces(core.http.HTTPProtocol):
        streaming = True
        max_body, max_head, max_headers = 20, 200, 5

        def request_received(self, request):
            self.start_response(200)

        def body_received(self, piece):
            self.send_body(piece)

        def body_ended(self, trailers):
            self.send_body(b"%d trailers" % len(trailers))
            self.end_response()

    return Pieces


def run(name, make, stream, cuts):
    """What was sent in answer, and whether the connection was closed."""
    core = load_core(name)
    wire = Wire()

    async def main():
        protocol = make(core)()
        protocol.connection_made(wire)
        at = 0
        for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
            if not wire.closing:
                protocol.data_received(stream[at:cut])
            at = cut
        await asyncio.sleep(0)
        protocol.connection_lost(None)

    core.run(main())
    return re.sub(rb"Date: [^\r]*", b"Date", wire.sent), wire.closing


@pytest.mark.parametrize("make", [whole, in_pieces])
@given(stream=messages() | damaged(), cuts=places)
def test_the_same_answers_on_both_cores(make, stream, cuts):
    outcomes = {run(name, make, stream, cuts) for name in CORES}
    assert len(outcomes) == 1


@given(stream=messages() | damaged() | st.binary(), cuts=places)
def test_the_same_answers_however_it_is_cut(stream, cuts):
    """But for 100 (Continue), which a client is only told where the body has not come with the head."""
    once, again = (run(CORES[0], whole, stream, where) for where in ([], cuts))
    assert once == (again[0].replace(CONTINUE, b""), again[1])
