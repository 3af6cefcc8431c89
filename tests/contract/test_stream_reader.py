"""A stream reader without a connection: limits, flow control, the end."""

from __future__ import annotations

import asyncio
import sys
import weakref

import pytest
from reader_kit import Held, begun, reads, result, turn
from streams_kit import collect


def test_a_line_over_the_limit_is_dropped(core, drive):
    async def scenario(loop):
        reader = core.StreamReader(limit=4)
        reader.feed_data(b"12345\n1234\n")
        with pytest.raises(ValueError, match="is found, but chunk is longer than limit"):
            await reader.readline()
        assert await reader.readline() == b"1234\n"
        reader.feed_data(b"12345")
        with pytest.raises(ValueError, match="is not found, and chunk exceed the limit"):
            await reader.readline()
        assert reader.pending == 0

    drive(scenario)


def test_what_readuntil_refuses_stays(core, drive):
    async def scenario(loop):
        reader = core.StreamReader(limit=4)
        reader.feed_data(b"12345..")
        with pytest.raises(asyncio.LimitOverrunError, match="is found") as error:
            await reader.readuntil(b"..")
        assert error.value.consumed == 5
        assert await reader.readexactly(2) == b"12"
        with pytest.raises(asyncio.LimitOverrunError, match="is not found") as error:
            reader.feed_data(b"x")
            await reader.readuntil(b"--")
        assert error.value.consumed == 5  # one byte may begin the separator
        assert await reader.readuntil(b"..") == b"345.."

    drive(scenario)


@pytest.mark.parametrize(
    ("separators", "answer"),
    [
        ((b"\r\n", b"\n"), b"one\r\n"),
        ((b"two", b"ne"), b"one"),
        ((b"e\r\ntwo", b"two", b"wo"), b"one\r\ntwo"),
        ((bytearray(b"\r"), memoryview(b"\n")), b"one\r"),
        ((b"missing", b"w"), b"one\r\ntw"),
    ],
)
def test_several_separators(core, drive, separators, answer):
    async def scenario(loop):
        for piece in (1, 2, 100):
            reader = core.StreamReader()
            task = await begun(reader.readuntil(separators))
            for start in range(0, 8, piece):
                reader.feed_data(b"one\r\ntwo"[start : start + piece])
                await turn()
            got = await task
            assert got.startswith(answer) if piece > 1 else got == answer

    drive(scenario)


def test_arguments_that_make_no_sense(core, drive):
    async def scenario(loop):
        reader = core.StreamReader()
        reader.feed_data(b"\0\0\0")
        for separator in ((), b"", (b"a", b"")):
            with pytest.raises(ValueError, match="Separator should"):
                await reader.readuntil(separator)
        for separator in (2, "x", None, (b"a", 2)):
            with pytest.raises(TypeError):
                await reader.readuntil(separator)
        for number in ("1", None, 1.5):
            with pytest.raises(TypeError):
                await reader.read(number)
            with pytest.raises(TypeError):
                await reader.readexactly(number)
        with pytest.raises(ValueError, match="less than zero"):
            await reader.readexactly(-1)
        assert await reader.read(0) == await reader.readexactly(0) == b""
        assert await reader.read(2**70) == b"\0\0\0"
        for limit in (0, -1, float("-inf")):
            with pytest.raises(ValueError, match="Limit cannot be <= 0"):
                core.StreamReader(limit)

    drive(scenario)


# --- flow control ---


@pytest.mark.parametrize("limit", [sys.maxsize, 2**70, float("inf"), sys.maxsize // 2 + 1])
def test_a_limit_that_is_none(core, drive, limit):
    async def scenario(loop):
        reader, transport = core.StreamReader(limit), Held()
        reader.set_transport(transport)
        reader.feed_data(b"x" * 1_000_000 + b"\n")
        assert transport.calls == []
        assert len(await reader.readline()) == 1_000_001

    drive(scenario)


def test_more_than_twice_the_limit_is_held_back(core, drive):
    async def scenario(loop):
        reader, transport = core.StreamReader(limit=4), Held()
        reader.set_transport(transport)
        reader.feed_data(b"12345678")
        assert transport.calls == []
        reader.feed_data(b"9")
        reader.feed_data(b"0")
        assert transport.calls == ["pause"]
        await reader.readexactly(5)
        assert transport.calls == ["pause"]
        await reader.read(1)
        assert transport.calls == ["pause", "resume"]

    drive(scenario)


def test_nobody_is_held_back_from_what_is_waited_for(core, drive):
    async def scenario(loop):
        reader, transport = core.StreamReader(limit=4), Held()
        reader.set_transport(transport)
        reader.feed_data(b"x" * 10)
        reading = await begun(reader.readexactly(100))
        assert transport.calls == ["pause", "resume"]
        reader.feed_data(b"x" * 80)
        await turn()
        assert transport.calls == ["pause", "resume"]
        assert not reading.done()
        reader.feed_data(b"x" * 20)
        assert await reading == b"x" * 100
        assert transport.calls[2:] in (["pause"], ["pause", "resume"])
        await reader.read(10)
        assert transport.calls[-1] == "resume"

    drive(scenario)


def test_a_transport_that_cannot_be_held_back(core, drive):
    def refuse():
        raise NotImplementedError

    async def scenario(loop):
        reader, transport = core.StreamReader(limit=1), Held(("pause", refuse))
        reader.set_transport(transport)
        reader.feed_data(b"12345")
        reader.feed_data(b"6")
        assert transport.calls == ["pause"]
        assert await reader.read(10) == b"123456"

    drive(scenario)


def test_a_transport_that_fails_leaves_no_waiter(core, drive):
    transport = Held(("resume", lambda: fail()))

    def fail():
        if transport.calls.count("resume") == 1:
            raise OSError("resume")

    async def scenario(loop):
        reader = core.StreamReader(limit=1)
        reader.set_transport(transport)
        reader.feed_data(b"123")
        with pytest.raises(OSError, match="resume"):
            await reader.readexactly(4)
        reader.feed_data(b"4")
        assert await reader.readexactly(4) == b"1234"

    drive(scenario)


def test_reads_and_feeds_from_inside_of_flow_control(core, drive):
    async def scenario(loop):
        found = []
        reader = core.StreamReader(limit=2)

        def on_pause():
            found.append(result(reader.read(3)))
            if len(found) < 3:
                reader.feed_data(b"abcdef")

        reader.set_transport(Held(("pause", on_pause), ("resume", lambda: reader.feed_data(b"."))))
        reader.feed_data(b"12345")
        while reader.pending:
            found.append(await reader.read(100))
            if len(found) > 10:
                break
        assert b"".join(found).replace(b".", b"") == b"12345abcdefabcdef"

    drive(scenario)


# --- the end ---


def test_the_end(core, drive):
    async def scenario(loop):
        reader = core.StreamReader()
        reader.feed_data(b"a\nrest")
        reader.feed_eof()
        assert not reader.at_eof()
        assert [line async for line in reader] == [b"a\n", b"rest"]
        assert reader.at_eof()
        assert await reader.readline() == await reader.read(5) == await reader.read() == b""
        for reading, expected in ((reader.readexactly(2), 2), (reader.readuntil(b"x"), None)):
            with pytest.raises(asyncio.IncompleteReadError) as error:
                await reading
            assert (error.value.partial, error.value.expected) == (b"", expected)
        with pytest.raises(AssertionError):
            reader.feed_data(b"x")

    drive(scenario)


@reads
def test_the_end_comes_while_a_read_waits(core, drive, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        task = await begun(getattr(reader, method)(*arguments))
        reader.feed_eof()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert outcome == b"" or isinstance(outcome, (asyncio.IncompleteReadError, StopAsyncIteration))
        assert (await asyncio.gather(reader.read(), return_exceptions=True)) == [b""]

    drive(scenario)


@reads
def test_what_broke_the_stream_reaches_every_read(core, drive, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        task = await begun(getattr(reader, method)(*arguments))
        broken = ConnectionResetError("gone")
        reader.set_exception(broken)
        for reading in (task, getattr(reader, method)(*arguments), reader.read(0)):
            with pytest.raises(ConnectionResetError) as error:
                await reading
            assert error.value is broken
        assert reader.exception() is broken

    drive(scenario)


def test_a_reader_that_is_dropped_with_a_read_under_way_is_collected(core, drive):
    async def scenario(loop):
        loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
        complaints = []
        reader = core.StreamReader()
        reader.set_transport(Held())
        task = asyncio.ensure_future(reader.readline())
        await turn()
        gone = weakref.ref(reader)
        del task, reader
        collect()
        assert gone() is None
        assert complaints == ["Task was destroyed but it is pending!"]

    drive(scenario)


def test_in_debug_mode(core):
    async def main():
        reader = core.StreamReader()
        task = asyncio.create_task(reader.readuntil((b"\n", b"\0")))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.001)
        reader.feed_data(b"a\n")
        assert await task == b"a\n"

    core.run(main(), debug=True)
