"""Reads of a stream, as coroutines: when they wait, and what one that ends early leaves."""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback

import pytest
from reader_kit import begun, reads, result, turn
from streams_kit import collect


@reads
def test_a_read_that_the_buffer_answers_costs_no_task_switch(core, drive, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        reader.feed_data(b"ab\ncd")
        assert result(getattr(reader, method)(*arguments)) == answer
        assert reader.pending == 5 - len(answer)

    drive(scenario)


@reads
def test_a_second_waiter_is_refused_by_name(core, drive, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        first = await begun(reader.readline())
        name = method.replace("__anext__", "readline")
        with pytest.raises(RuntimeError, match=f"^{name}\\(\\) called while another coroutine"):
            await getattr(reader, method)(*arguments)
        reader.feed_data(b"ab\ncd")
        assert await first == b"ab\n"

    drive(scenario)


def closed(reading):
    reading.close()


def thrown(reading):
    with pytest.raises(KeyError):
        reading.throw(KeyError("why"))


def dropped(reading):
    pass


@reads
@pytest.mark.parametrize("leave", [closed, thrown, dropped])
def test_a_read_that_ends_early_leaves_the_reader_free(core, drive, leave, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        reading = getattr(reader, method)(*arguments)
        assert asyncio.isfuture(reading.send(None))
        leave(reading)
        del reading
        collect()
        task = await begun(getattr(reader, method)(*arguments))
        reader.feed_data(b"ab\ncd")
        assert await task == answer

    drive(scenario)


@reads
def test_a_cancelled_read_has_consumed_nothing(core, drive, method, arguments, answer):
    async def scenario(loop):
        reader = core.StreamReader()
        for piece in (b"a", b"b\n"):
            task = asyncio.ensure_future(getattr(reader, method)(*arguments))
            await turn()
            reader.feed_data(piece)  # it may be enough: the task is cancelled before it knows
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            if method == "read":
                break
        reader.feed_data(b"b\ncd"[4 - len(b"ab\ncd") + reader.pending :])
        assert await getattr(reader, method)(*arguments) == answer

    drive(scenario)


def test_everything_is_there_after_a_cancelled_read_to_the_end(core, drive):
    async def scenario(loop):
        reader = core.StreamReader(limit=2)
        task = await begun(reader.read())
        reader.feed_data(b"more than the limit")
        await turn()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await reader.readexactly(4) == b"more"
        reader.feed_eof()
        assert await reader.read() == b" than the limit"
        assert reader.at_eof()

    drive(scenario)


def test_timeouts_lose_nothing(core, drive):
    async def scenario(loop):
        reader = core.StreamReader()
        for byte in b"slow":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.001)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await reader.readexactly(100)
            reader.feed_data(bytes([byte]))
        reader.feed_data(b"\nnext")
        assert await asyncio.wait_for(reader.readline(), 1) == b"slow\n"

    drive(scenario)


def test_reads_as_tasks(core, drive):
    async def scenario(loop):
        readers = [core.StreamReader() for _ in range(3)]
        all_lines = asyncio.gather(*(reader.readline() for reader in readers))
        named = asyncio.create_task(core.StreamReader().readexactly(3), name="three")
        await turn()
        for number, reader in enumerate(readers):
            reader.feed_data(b"%d\n" % number)
        assert await all_lines == [b"0\n", b"1\n", b"2\n"]
        assert "StreamReader.readexactly()" in repr(named)
        named.print_stack(file=sys.stderr)
        named.cancel()

    drive(scenario)


def test_a_read_is_a_coroutine(core, drive):
    async def scenario(loop):
        reading = core.StreamReader().readline()
        assert asyncio.iscoroutine(reading)
        assert inspect.isawaitable(reading)
        assert (reading.__name__, reading.__qualname__) == ("readline", "StreamReader.readline")
        reading.close()
        reading.close()

    drive(scenario)


if sys.version_info >= (3, 12):

    def test_eager_tasks(core, drive):
        async def scenario(loop):
            loop.set_task_factory(asyncio.eager_task_factory)
            reader = core.StreamReader()
            reader.feed_data(b"now\nla")
            assert asyncio.create_task(reader.readline()).done()
            later = asyncio.create_task(reader.readline())
            assert not later.done()
            reader.feed_data(b"ter\n")
            assert await later == b"later\n"

        drive(scenario)


def test_the_same_read_twice(core, drive):
    async def awaiting(reading):
        return await reading

    async def scenario(loop):
        reader = core.StreamReader()
        reading = reader.readline()
        first = await begun(awaiting(reading))
        with pytest.raises(RuntimeError, match="awaited already"):
            await awaiting(reading)
        reader.feed_data(b"a\nb\n")
        assert await first == b"a\n"
        for call in (awaiting(reading).send, reading.send, reading.throw):
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                call(ValueError() if call == reading.throw else None)
        reading.close()
        assert await reader.readline() == b"b\n"

    drive(scenario)


def test_a_read_that_nobody_awaits_says_so(core, drive):
    async def scenario(loop):
        def forget():
            reader.readexactly(5)
            collect()

        reader = core.StreamReader()
        with pytest.warns(RuntimeWarning, match=r"coroutine 'StreamReader\.readexactly' was never awaited"):
            forget()
        reader.read(5).close()

    drive(scenario)


@pytest.mark.parametrize(
    ("arguments", "raised"),
    [
        ((KeyError("why"),), KeyError("why")),
        ((KeyError,), KeyError()),
        ((KeyError, "why"), KeyError("why")),
        ((KeyError, ("why", 1)), KeyError("why", 1)),
        ((LookupError, KeyError("why")), KeyError("why")),
        ((KeyError, None, None), KeyError()),
        ((asyncio.CancelledError("why"),), asyncio.CancelledError("why")),
        ((5,), TypeError),
        ((str, "x"), TypeError),
        ((KeyError("why"), 5), TypeError),
    ],
)
@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning")
def test_every_way_to_throw(core, drive, arguments, raised):
    async def scenario(loop):
        reader = core.StreamReader()
        reading = reader.readline()
        reading.send(None)
        kind = raised if isinstance(raised, type) else type(raised)
        with pytest.raises(kind) as caught:
            reading.throw(*arguments)
        if not isinstance(raised, type):
            assert repr(caught.value) == repr(raised)
        reading.close()
        reader.feed_data(b"x\n")
        assert await reader.readline() == b"x\n"

    drive(scenario)


def test_a_thrown_traceback_is_kept(core, drive):
    async def scenario(loop):
        reading = core.StreamReader().readline()
        reading.send(None)
        try:
            raise KeyError
        except KeyError as exc:
            error = exc
        with pytest.raises(KeyError) as caught:
            reading.throw(error)
        assert "raise KeyError" in "".join(traceback.format_exception(caught.value))

    drive(scenario)
