"""Transports and links without I/O: they keep the grammar that a connection keeps."""

from __future__ import annotations

import asyncio
import doctest
import sys

import pytest
from streams_kit import until

WIRE = b"one\r\n\ntwo\nthree\n"
LINES = [b"one", b"", b"two", b"three"]
CUTS = [None, 1, 3, [4, 5], [0, 2, 2, 99], range(1, 16)]


def lines(core, **methods):
    """A LineProtocol with these methods, and the list of what it is called with."""
    protocol = type("Lines", (core.LineProtocol,), methods)()
    return protocol, core.testing.record(protocol)


def names(calls):
    return [call.name for call in calls]


def test_the_examples_of_the_docstring_run(core, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyreactor", core)
    assert doctest.testmod(core.testing).failed == 0


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_a_framed_protocol_gets_its_messages_however_they_are_cut(core, cuts):
    protocol, calls = lines(core)
    core.testing.feed(protocol, WIRE, cuts).feed_eof()
    assert [call.args[0] for call in calls if call.name == "message_received"] == LINES
    assert names(calls)[0] == "connection_made"
    assert names(calls)[-2:] == ["eof_received", "connection_lost"]


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_a_plain_protocol_gets_the_bytes(core, cuts):
    protocol = core.testing.Recorder()
    core.testing.feed(protocol, WIRE, cuts)
    assert protocol.received == WIRE


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_a_buffered_protocol_gets_them_in_its_own_memory(core, cuts):
    class Buffered(asyncio.BufferedProtocol):
        buffer, received = bytearray(4), b""

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            self.received += self.buffer[:nbytes]

    protocol = Buffered()
    calls = core.testing.record(protocol)
    core.testing.feed(protocol, WIRE, cuts)
    assert protocol.received == WIRE
    assert calls[1] == ("get_buffer", (-1,))


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_a_stream_reader_reads_what_was_fed(core, cuts):
    with core.testing.TestReactor() as reactor:
        reader = core.StreamReader(loop=reactor)
        transport = core.testing.feed(core.streams.StreamProtocol(reader, loop=reactor), loop=reactor)
        reading = reactor.create_task(reader.readuntil(b"three\n"))
        transport.feed(WIRE, cuts)
        assert reading.result() == WIRE
        transport.feed_eof()
        assert reactor.run_until_complete(reader.read()) == b""


def test_what_is_held_back_is_delivered_on_resume(core):
    def received(self, message):
        self.pause_reading()

    protocol, calls = lines(core, message_received=received)
    transport = core.testing.feed(protocol, WIRE)
    transport.feed_eof()
    for count in range(1, 5):
        assert names(calls)[1:] == ["message_received"] * count
        protocol.resume_reading()
        protocol.resume_reading()
        transport.settle()
    assert names(calls)[-2:] == ["eof_received", "connection_lost"]


def test_pausing_the_transport_holds_on_after_the_protocol_resumed(core):
    def received(self, message):
        self.transport.pause_reading()

    protocol, calls = lines(core, message_received=received)
    with core.testing.TestReactor() as reactor:
        transport = core.testing.feed(protocol, WIRE, loop=reactor)
        reactor.call(protocol.pause_reading)
        reactor.call(protocol.resume_reading)
        reactor.settle()
        assert names(calls)[1:] == ["message_received"] * 2
        transport.abort()


def test_after_close_the_rest_is_dropped_and_the_queue_still_leaves(core):
    def received(self, message):
        self.send_message(message * 100)
        self.transport.close()
        self.transport.write(b"ignored")

    protocol, calls = lines(core, message_received=received)
    transport = core.testing.feed(protocol, WIRE, room=10)
    assert names(calls) == ["connection_made", "message_received"]
    assert transport.is_closing()
    assert not transport.closed
    transport.drain(290)
    assert not transport.closed
    transport.drain()
    assert transport.sent == b"one" * 100 + b"\n"
    assert (calls[-1], transport.closed) == (("connection_lost", (None,)), True)
    transport.feed(b"too late\n")
    assert len(calls) == 3


@pytest.mark.parametrize("end", ["close", "abort"])
def test_connection_lost_comes_from_no_other_callback(core, end):
    running = []

    class Closing(core.testing.Recorder):
        def data_received(self, data):
            running.append(data)
            getattr(self.transport, end)()
            assert self.names == ["connection_made"]
            running.pop()

        def connection_lost(self, exc):
            super().connection_lost(exc)
            assert not running

    protocol = Closing()
    core.testing.feed(protocol, b"x")
    assert protocol.names == ["connection_made", "connection_lost"]


def test_writing_pauses_above_the_high_mark_and_resumes_at_the_low_one(core):
    protocol = core.testing.Recorder()
    transport = core.testing.feed(protocol, room=0, high=10, low=4)
    transport.writelines([b"12345", bytearray(b"67890")])
    assert transport.writes == [b"1234567890"]
    assert protocol.names == ["connection_made"]
    transport.write(b"!")
    assert protocol.names[1:] == ["pause_writing"]
    transport.drain(6)
    assert protocol.names[1:] == ["pause_writing"]
    transport.drain(1)
    assert protocol.names[1:] == ["pause_writing", "resume_writing"]
    assert (transport.take(), transport.take()) == (b"1234567", b"")
    transport.set_write_buffer_limits(high=3)
    assert protocol.names[3:] == ["pause_writing"]
    assert transport.get_write_buffer_limits() == (0, 3)
    transport.write_eof()
    assert not transport.eof_sent
    transport.drain()
    assert transport.eof_sent
    assert protocol.names[4:] == ["resume_writing"]
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.write(b"x")


def test_a_message_over_its_limit_ends_the_connection_after_what_came_before(core):
    def received(self, message):
        self.send_message(message)

    protocol, calls = lines(core, message_received=received, max_length=5)
    transport = core.testing.feed(protocol, b"fine\nnot fine\nnever\n")
    assert transport.sent == b"fine\n"
    assert names(calls) == ["connection_made", "message_received", "connection_lost"]
    assert isinstance(calls[-1].args[0], core.FramingError)


def test_a_framer_in_plain_python_is_fed_through_data_received(core):
    class Pairs:
        data = b""

        def feed(self, data):
            self.data += data
            if b"!" in data:
                raise core.FramingError("no")

        def next_message(self):
            if len(self.data) < 2:
                return None
            message, self.data = self.data[:2], self.data[2:]
            return message

    class Paired(core.FramedProtocol):
        def make_framer(self):
            return Pairs()

    protocol = Paired()
    calls = core.testing.record(protocol)
    core.testing.feed(protocol, b"aabbc", cuts=1)
    assert [call.args[0] for call in calls[1:]] == [b"aa", b"bb"]


def test_what_a_callback_raises_reaches_the_test_and_ends_the_connection(core):
    def received(self, message):
        raise ZeroDivisionError(message)

    protocol, calls = lines(core, message_received=received)
    transport = core.testing.MemoryTransport(protocol)
    with pytest.raises(ZeroDivisionError):
        transport.feed(WIRE)
    assert names(calls) == ["connection_made", "message_received", "connection_lost"]
    assert isinstance(calls[-1].args[0], ZeroDivisionError)


def test_another_protocol_takes_over_with_what_is_left(core):
    successor = core.testing.Recorder()

    def received(self, message):
        self.transport.set_protocol(successor)

    protocol, calls = lines(core, message_received=received)
    transport = core.testing.feed(protocol, WIRE)
    transport.feed(b"more")
    assert len(calls) == 2
    assert successor.received == WIRE[5:] + b"more"
    assert transport.get_protocol() is successor
    transport.lose(ConnectionResetError())
    assert successor.names[-1] == "connection_lost"
    assert isinstance(successor.calls[-1].args[0], ConnectionResetError)


def test_a_half_closed_connection_goes_on_writing(core):
    protocol = core.testing.Recorder(half_open=True)
    transport = core.testing.feed(protocol, b"x")
    transport.feed_eof()
    transport.write(b"still here")
    assert transport.sent == b"still here"
    with pytest.raises(RuntimeError, match="ended its stream"):
        transport.feed(b"y")


def test_misuse_raises(core):
    transport = core.testing.feed(core.testing.Recorder(), extra={"peername": ("192.0.2.1", 9)})
    assert transport.get_extra_info("peername") == ("192.0.2.1", 9)
    with pytest.raises(TypeError):
        transport.write("text")
    with pytest.raises(ValueError):
        transport.feed(b"x", cuts=0)
    with pytest.raises(ValueError):
        core.testing.MemoryTransport(core.testing.Recorder(), high=1, low=2)
    for options in ({"window": 0}, {"cuts": 0}):
        with pytest.raises(ValueError):
            core.testing.connect(core.testing.Recorder(), core.testing.Recorder(), **options)


POST = b"POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("cuts", [None, 1, [3, 20, 60, 61]], ids=str)
def test_an_http_protocol_answers_and_waits_only_so_long(core, cuts):
    class Echo(core.http.HTTPProtocol):
        keep_alive_timeout = 60

        def request_received(self, request):
            self.respond(200, ((b"Content-Type", b"text/plain"),), request.body)

    with core.testing.TestReactor() as reactor:
        protocol = Echo()
        calls = core.testing.record(protocol)
        transport = core.testing.feed(protocol, POST * 2, cuts, loop=reactor)
        assert names(calls) == ["connection_made", "request_received", "request_received"]
        assert transport.sent.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert transport.sent.endswith(b"\r\n\r\nhello")
        reactor.advance(59)
        assert not transport.is_closing()
        reactor.advance(61)
        assert (transport.closed, calls[-1]) == (True, ("connection_lost", (None,)))


# --- links ---


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


PIECES = {None: [20], 1: [1] * 20, 7: [7, 7, 6], (3, 5): [3, 2, 15]}


@pytest.mark.parametrize("cuts", PIECES, ids=str)
def test_a_link_carries_both_ways_in_the_chosen_pieces(core, cuts):
    client = core.testing.Recorder()
    link = core.testing.connect(client, Echo(), cuts=cuts)
    client.transport.write(b"x" * 20)
    link.run()
    assert client.received == b"x" * 20
    assert [len(call.args[0]) for call in client.calls if call.name == "data_received"] == PIECES[cuts]


def test_a_peer_that_does_not_read_holds_the_writer_back(core):
    reader = core.testing.Recorder()
    writer = core.testing.Recorder()
    link = core.testing.connect(writer, reader, window=100, high=50, low=10)
    reader.transport.pause_reading()
    for _ in range(16):
        writer.transport.write(b"x" * 10)
        link.run()
    assert writer.names == ["connection_made", "pause_writing"]
    assert (len(writer.transport.sent), writer.transport.get_write_buffer_size()) == (100, 60)
    reader.transport.resume_reading()
    link.run()
    assert writer.names[2:] == ["resume_writing"]
    assert reader.received == b"x" * 160


def test_the_end_of_one_is_told_to_the_other_after_the_rest(core):
    client, server = core.testing.Recorder(), core.testing.Recorder(half_open=True)
    link = core.testing.connect(client, server)
    client.transport.write(b"bye")
    client.transport.write_eof()
    link.run()
    assert server.names == ["connection_made", "data_received", "eof_received"]
    server.transport.write(b"so long")
    server.transport.close()
    link.run()
    assert server.names[3:] == ["connection_lost"]
    assert client.received == b"so long"
    assert client.names[-2:] == ["eof_received", "connection_lost"]


def test_who_writes_to_somebody_gone_or_meets_an_abort_is_reset(core):
    for end, writes in (("close", True), ("abort", False)):
        client, server = core.testing.Recorder(half_open=True), core.testing.Recorder()
        link = core.testing.connect(client, server)
        getattr(server.transport, end)()
        if writes:
            link.run()
            client.transport.write(b"anybody?")
        link.run()
        assert isinstance(client.calls[-1].args[0], ConnectionResetError)
        assert client.names.count("connection_lost") == 1


def test_on_a_loop_a_link_moves_by_itself(core):
    async def main():
        loop = asyncio.get_running_loop()
        reader = core.StreamReader(loop=loop)
        protocol = core.streams.StreamProtocol(reader, loop=loop)
        link = core.testing.connect(protocol, Echo(), cuts=1)
        writer = core.StreamWriter(link.a, protocol, reader, loop)
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            assert await reader.readline() == line
        writer.close()
        await writer.wait_closed()
        await until(lambda: link.b.closed)

    for loop_factory in (core.testing.TestReactor, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
