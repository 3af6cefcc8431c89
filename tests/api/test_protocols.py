"""Framed protocols end to end, on the reactor and on whatever other asyncio loop there is."""

from __future__ import annotations

import asyncio

import pytest
from streams_kit import framed, leave, opened, until

# The base class, its options, and messages with what they look like on the wire.
CASES = {
    "lines": ("LineProtocol", {}, {b"one": b"one\n", b"": b"\n", b"a\rb": b"a\rb\n"}),
    "delimited": ("DelimitedProtocol", {"delimiter": b"::"}, {b"one": b"one::", b":a": b":a::", b"": b"::"}),
    "length-prefixed": ("LengthPrefixedProtocol", {}, {b"one": b"\0\0\0\3one", b"": b"\0\0\0\0"}),
    "two bytes, little": (
        "LengthPrefixedProtocol",
        {"width": 2, "byteorder": "little"},
        {b"one": b"\3\0one", b"x" * 258: b"\2\1" + b"x" * 258},
    ),
    "netstrings": ("NetstringProtocol", {}, {b"one": b"3:one,", b"": b"0:,", b"4:no,": b"5:4:no,,"}),
    "fixed": ("FixedLengthProtocol", {"size": 3}, {b"one": b"one", b"\0\n,": b"\0\n,"}),
}


@pytest.mark.parametrize("case", CASES)
def test_messages_come_whole_and_go_framed_however_they_are_cut(core, play, case):
    base, options, messages = CASES[case]
    wire = b"".join(messages.values())

    async def scenario():
        protocol, reader, writer = await opened(framed(getattr(core, base), **options))
        writer.write(wire)
        assert await reader.readexactly(len(wire)) == wire
        for i in range(len(wire)):
            writer.write(wire[i : i + 1])
            await asyncio.sleep(0)
        assert await reader.readexactly(len(wire)) == wire
        assert protocol.messages == list(messages) * 2
        assert await leave(protocol, writer) is None

    play(scenario)


TOO_LONG = {
    "a line without its end": ("LineProtocol", b"x" * 11),
    "a line": ("LineProtocol", b"x" * 11 + b"\n"),
    "a delimited message": ("DelimitedProtocol", b"x" * 12),
    "a length that is announced": ("LengthPrefixedProtocol", b"\0\0\0\x0b"),
    "a netstring that is announced": ("NetstringProtocol", b"11:"),
}


@pytest.mark.parametrize("what", TOO_LONG)
def test_a_message_over_its_limit_ends_the_connection(core, play, what):
    base, data = TOO_LONG[what]

    async def scenario():
        protocol, reader, writer = await opened(framed(getattr(core, base), max_length=10))
        writer.write(data)
        exc = await protocol.lost
        assert exc is None or isinstance(exc, core.FramingError)  # uvloop's transport carries none
        assert await reader.read() == b""
        assert protocol.messages == []
        writer.close()

    play(scenario)


def test_the_framing_error_reaches_connection_lost_on_our_own_loop(core, drive):
    async def scenario(loop):
        protocol, reader, writer = await opened(framed(core.LineProtocol, max_length=10))
        writer.write(b"fine\n" + b"x" * 11)
        assert isinstance(await protocol.lost, core.FramingError)
        assert await reader.read() == b"fine\n"
        writer.close()

    drive(scenario)


def test_messages_wait_while_the_protocol_is_paused(core, play):
    async def scenario():
        class Pausing(framed(core.LineProtocol)):
            def message_received(self, message):
                super().message_received(message)
                self.pause_reading()

        protocol, reader, writer = await opened(Pausing)
        writer.write(b"a\nb\nc\n")
        for count in (1, 2, 3):
            assert await reader.readline()
            assert len(protocol.messages) == count
            protocol.resume_reading()
            protocol.resume_reading()
        assert protocol.messages == [b"a", b"b", b"c"]
        assert await leave(protocol, writer) is None

    play(scenario)


def test_the_rest_of_a_batch_is_dropped_after_close(core, play):
    async def scenario():
        class Closing(framed(core.LineProtocol)):
            def message_received(self, message):
                super().message_received(message)
                self.transport.close()

        protocol, reader, writer = await opened(Closing)
        writer.write(b"a\nb\nc\n")
        assert await reader.read() == b"a\n"
        assert await protocol.lost is None
        assert protocol.messages == [b"a"]
        writer.close()

    play(scenario)


class Sized:
    """A framer in plain Python: a digit, then that many characters, as text."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data

    def next_message(self):
        size = int(self.data[:1] or b"0")
        if not self.data or len(self.data) <= size:
            return None
        message, self.data = self.data[1 : size + 1], self.data[size + 1 :]
        return message.decode()

    def frame(self, message):
        return b"%d%b" % (len(message), message.encode())


def own_framing(core, framer):
    return framed(core.FramedProtocol, make_framer=lambda self: framer())


def test_a_framer_of_one_s_own_works(core, play):
    async def scenario():
        protocol, reader, writer = await opened(own_framing(core, Sized))
        writer.write(b"3one0")
        writer.write(b"4fo")
        assert await reader.readexactly(5) == b"3one0"
        writer.write(b"ur")
        assert await reader.readexactly(5) == b"4four"
        assert protocol.messages == ["one", "", "four"]
        assert await leave(protocol, writer) is None

    play(scenario)


def test_a_framer_of_one_s_own_may_refuse(core, play):
    class Refusing(Sized):
        def next_message(self):
            raise core.FramingError("not with me")

    async def scenario():
        protocol, reader, writer = await opened(own_framing(core, Refusing))
        writer.write(b"x")
        assert await reader.read() == b""
        assert "not with me" in str(await protocol.lost or "not with me")
        writer.close()

    play(scenario)


def test_a_subclass_may_override_send_message(core, play):
    async def scenario():
        class Polite(framed(core.LineProtocol)):
            def send_message(self, message):
                super().send_message(message + b", please")

        protocol, reader, writer = await opened(Polite)
        writer.write(b"tea\n")
        assert await reader.readline() == b"tea, please\n"
        await leave(protocol, writer)

    play(scenario)


def test_a_subclass_may_override_data_received(core, play):
    async def scenario():
        class Counting(framed(core.LineProtocol)):
            count = 0

            def data_received(self, data):
                self.count += len(data)
                super().data_received(data)

        protocol, reader, writer = await opened(Counting)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert (protocol.count, protocol.messages) == (6, [b"hello"])
        await leave(protocol, writer)

    play(scenario)


def test_what_cannot_be_framed_is_refused_and_nothing_is_sent(core, play):
    async def scenario():
        protocol, reader, writer = await opened(framed(core.LineProtocol, max_length=5))
        for message, error in ((b"a\nb", ValueError), (b"too long", ValueError), ("text", TypeError)):
            with pytest.raises(error):
                protocol.send_message(message)
        protocol.send_message(bytearray(b"fine"))
        assert await reader.readline() == b"fine\n"
        await leave(protocol, writer)

    play(scenario)


def test_a_client_and_a_server_speak_the_same_framing(core, play):
    async def scenario():
        loop, made = asyncio.get_running_loop(), []
        echo = framed(core.NetstringProtocol)
        server = await loop.create_server(lambda: made.append(echo()) or made[0], "127.0.0.1", 0)

        class Client(framed(core.NetstringProtocol)):
            def message_received(self, message):
                self.messages.append(message)

        _, client = await loop.create_connection(Client, *server.sockets[0].getsockname()[:2])
        sent = [bytes([i]) * i * 50 for i in range(100)]
        for message in sent:
            client.send_message(message)
        await until(lambda: len(client.messages) == len(sent))
        assert client.messages == sent
        client.transport.close()
        await client.lost
        await made[0].lost
        server.close()

    play(scenario)
