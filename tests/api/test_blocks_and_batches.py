"""Blocks that are not framed in the middle of a stream, and messages that come as lists, on any loop."""

from __future__ import annotations

import asyncio

import pytest
from streams_kit import framed, leave, opened


def storing(core, **options):
    """As memcached has it: ``set KEY SIZE``, a block of that size, CR LF; anything else is a line."""

    class Storing(framed(core.LineProtocol, **options)):
        def message_received(self, message):
            self.messages.append(message)
            if message.startswith(b"set "):
                self.receive_raw(int(message.split()[2]) + 2)

        def raw_received(self, data):
            self.messages.append([data])
            self.send_message(b"STORED")

    return Storing


WIRE = b"get a\nset a 5\r\n1\n3\n5\r\nset b 0\n\r\nget b\r\nset c 3\n\n\n\n\r\nend\n"
CAME = [b"get a", b"set a 5", [b"1\n3\n5\r\n"], b"set b 0", [b"\r\n"], b"get b", b"set c 3"]
CAME += [[b"\n\n\n\r\n"], b"end"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_blocks_come_raw_however_they_are_cut(core, play, size):
    async def scenario():
        protocol, reader, writer = await opened(storing(core))
        for i in range(0, len(WIRE), size):
            writer.write(WIRE[i : i + size])
            await asyncio.sleep(0)
        assert await reader.readexactly(21) == b"STORED\n" * 3
        writer.write(b"last\n")
        await writer.drain()
        assert await leave(protocol, writer) is None
        assert protocol.messages == [*CAME, b"last"]

    play(scenario)


def test_a_block_of_nothing_comes_at_once(core, play):
    async def scenario():
        class Empty(framed(core.LineProtocol)):
            def message_received(self, message):
                self.receive_raw(0)

            def raw_received(self, data):
                self.send_message(b"got %d" % len(data))

        protocol, reader, writer = await opened(Empty)
        writer.write(b"please\n")
        assert await reader.readline() == b"got 0\n"
        await leave(protocol, writer)

    play(scenario)


def test_a_block_over_the_limit_is_received_in_parts(core, play):
    async def scenario():
        class Large(framed(core.LineProtocol, max_length=1000)):
            missing, received = 0, b""

            def message_received(self, message):
                self.missing = int(message)
                with pytest.raises(ValueError, match="0 to 1000 bytes"):
                    self.receive_raw(self.missing)
                with pytest.raises(ValueError, match="0 to 1000 bytes"):
                    self.receive_raw(-1)
                self.more()

            def more(self):
                if self.missing:
                    self.receive_raw(min(self.missing, 1000))
                else:
                    self.send_message(b"done")

            def raw_received(self, data):
                self.received += data
                self.missing -= len(data)
                self.more()

        protocol, reader, writer = await opened(Large)
        block = bytes(range(256)) * 49
        writer.write(b"%d\n" % len(block) + block)
        assert await reader.readline() == b"done\n"
        assert protocol.received == block
        await leave(protocol, writer)

    play(scenario)


def batching(core, base="LineProtocol", **options):
    class Batching(getattr(core, base)):
        def __init__(self):
            self.batches = []
            self.lost = asyncio.get_running_loop().create_future()

        def messages_received(self, messages):
            self.batches.append(messages)
            for message in messages:
                self.send_message(message)

        def message_received(self, message):
            raise AssertionError("there is a callback for lists")

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    return type("Batches", (Batching,), options)


def test_a_packet_of_messages_is_one_call(core, play):
    async def scenario():
        protocol, reader, writer = await opened(batching(core))
        writer.write(b"a\nb\nc")
        assert await reader.readexactly(4) == b"a\nb\n"
        writer.write(b"d\n")
        assert await reader.readline() == b"cd\n"
        assert protocol.batches == [[b"a", b"b"], [b"cd"]]
        assert await leave(protocol, writer) is None

    play(scenario)


def test_messages_before_a_failure_are_delivered_first(core, play):
    async def scenario():
        protocol, reader, writer = await opened(batching(core, max_length=5))
        writer.write(b"a\nb\nmuch too long\nc\n")
        exc = await protocol.lost
        assert exc is None or isinstance(exc, core.FramingError)  # uvloop's transport carries none
        assert protocol.batches == [[b"a", b"b"]]
        writer.close()
        del reader

    play(scenario)


def test_what_comes_after_a_pause_is_another_batch(core, play):
    async def scenario():
        class Pausing(batching(core)):
            def messages_received(self, messages):
                super().messages_received(messages)
                if len(self.batches) == 1:
                    self.pause_reading()

        protocol, reader, writer = await opened(Pausing)
        writer.write(b"a\nb\n")
        assert await reader.readexactly(4) == b"a\nb\n"
        writer.write(b"c\n")
        await asyncio.sleep(0.02)
        assert protocol.batches == [[b"a", b"b"]]
        protocol.resume_reading()
        assert await reader.readline() == b"c\n"
        assert await leave(protocol, writer) is None

    play(scenario)


def test_a_batch_may_ask_for_a_block(core, play):
    async def scenario():
        class Blocks(batching(core)):
            def messages_received(self, messages):
                super().messages_received(messages)
                if messages[-1] == b"block":
                    self.receive_raw(4)

            def raw_received(self, data):
                self.batches.append(data)
                self.send_message(b"got it")

        protocol, reader, writer = await opened(Blocks)
        writer.write(b"a\nblock\n")
        assert await reader.readexactly(8) == b"a\nblock\n"
        writer.write(b"1\n3\nb\n")
        assert await reader.readexactly(9) == b"got it\nb\n"
        assert protocol.batches == [[b"a", b"block"], b"1\n3\n", [b"b"]]
        await leave(protocol, writer)

    play(scenario)


class Digits:
    """A framer in plain Python: every byte is a message."""

    def __init__(self):
        self.data = []

    def feed(self, data):
        self.data += data

    def next_message(self):
        return self.data.pop(0) if self.data else None

    def frame(self, message):
        return bytes([message])


def test_a_framer_of_one_s_own_gives_lists_of_one(core, play):
    async def scenario():
        protocol, reader, writer = await opened(
            batching(core, "FramedProtocol", make_framer=lambda self: Digits())
        )
        writer.write(b"abc")
        assert await reader.readexactly(3) == b"abc"
        assert protocol.batches == [[97], [98], [99]]
        await leave(protocol, writer)

    play(scenario)


def test_a_large_message_is_sent_without_a_copy(core, drive):
    """The kernel gets the protocol's own bytes: they are the queue's, not a copy with a prefix."""

    async def scenario(loop):
        protocol, reader, writer = await opened(framed(core.LengthPrefixedProtocol, max_length=1 << 20))
        sent = []

        class Recording:
            def writelines(self, pieces):
                sent.extend(pieces)
                protocol.transport.writelines(pieces)

        protocol.framer.attach(protocol, Recording())
        body = bytes(200_000)
        protocol.send_message(body)
        assert any(piece is body for piece in sent)
        assert await reader.readexactly(200_004) == b"\0\x03\x0d\x40" + body
        await leave(protocol, writer)

    drive(scenario)
