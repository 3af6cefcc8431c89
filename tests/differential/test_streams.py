"""Our stream readers against asyncio's, and against what was fed.

A script of feeds, ends, reads and cancellations is played on asyncio's reader and on both of ours. The
results are the same but for what ours do on purpose:

- A cancelled ``read(-1)`` has consumed nothing, where asyncio's drops what had come so far.
- A read that begins when another was just woken, and waits as well, makes the first be refused should that
  not be satisfied. asyncio forgets the second then, which waits for ever.
- A read that was woken, and whose stream breaks before it goes on, is told of it where asyncio's waits.
- A refusal names the method that was called: asyncio's ``readline`` calls itself ``readuntil``.
- asyncio before 3.13 takes one separator only.
"""

from __future__ import annotations

import asyncio
import sys

import pytest
from cores import CORES, load_core
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 4
OURS = [load_core(core).StreamReader for core in CORES]

pieces = st.sampled_from([b"a", b"b", b"\n", b"ab", b"a\nb", b"aab\n\n", b"abababab", b"aaaaaaaaaaaa"])
separators = [b"\n", b"b", b"ab", b"ba\n", b"aab"]
if sys.version_info >= (3, 13):
    separators += [(b"b", b"ab"), (b"aab", b"ab", b"\n"), (b"aa", b"ba", b"aaab")]
counted = st.one_of(  # these drop nothing, whatever the limit
    st.tuples(st.just("readuntil"), st.sampled_from(separators)),
    st.tuples(st.just("readexactly"), st.integers(-1, 15)),
    st.tuples(st.just("read"), st.integers(0, 15)),
)
calls = st.one_of(st.tuples(st.just("readline")), st.tuples(st.just("__anext__")), counted)
to_the_end = st.tuples(st.just("read"), st.just(-1))
feeds = st.tuples(st.just("feed"), pieces)
steps = st.tuples(st.just("step"), st.integers(1, 3))
cancels = st.tuples(st.just("cancel"))
ends = st.one_of(st.tuples(st.just("end")), st.tuples(st.just("reset")))


class Held:
    def __init__(self):
        self.held = False

    def pause_reading(self):
        assert not self.held
        self.held = True

    def resume_reading(self):
        assert self.held
        self.held = False


class Player:
    """Plays a script on a reader."""

    def __init__(self, reader):
        self.reader = reader
        self.transport = Held()
        reader.set_transport(self.transport)
        self.tasks = []
        self.fed = b""
        self.taken = []
        self.over = False

    async def play(self, script):
        trace = []
        for name, *arguments in script:
            if name == "step":
                await turns(*arguments)
                trace.append(self.look())
            elif name in ("feed", "end", "reset", "cancel"):
                getattr(self, name)(*arguments)
            else:
                self.tasks.append(asyncio.ensure_future(self.read(name, arguments)))
        self.cancel()
        await turns(3)
        trace.append(self.look())
        return trace

    async def read(self, name, arguments):
        try:
            data = await getattr(self.reader, name)(*arguments)
        except asyncio.IncompleteReadError as exc:
            self.taken.append(exc.partial)
            raise
        self.taken.append(data)
        return data

    def look(self):
        assert not (self.reader._waiter and self.transport.held)  # or it would wait for ever
        outcomes = [outcome(task) for task in self.tasks]
        return outcomes, len(self.reader._buffer), self.reader.at_eof()

    def feed(self, data):
        if not self.over:
            self.fed += data
            self.reader.feed_data(data)

    def end(self):
        self.over = True
        self.reader.feed_eof()

    def reset(self):
        self.reader.set_exception(ConnectionResetError("gone"))

    def cancel(self):
        for task in self.tasks:
            task.cancel()


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def outcome(task):
    if not task.done():
        return "waiting"
    if task.cancelled():
        return "cancelled"
    exc = task.exception()
    if exc is None:
        return task.result()
    details = [getattr(exc, name, None) for name in ("partial", "expected", "consumed")]
    return type(exc), str(exc).replace("readline()", "readuntil()"), *details


def run(makes, script, limit=LIMIT):
    """For each reader what was seen, and its player."""

    async def main():
        loop = asyncio.get_running_loop()
        players = [Player(make(limit=limit, loop=loop)) for make in makes]
        return [(await player.play(script), player) for player in players]

    return asyncio.run(main())


def apart(script):
    """The same with a pause around each read and before a reset: nothing happens to a read just woken."""
    for name, *arguments in script:
        is_read = name in ("readline", "__anext__", "readuntil", "readexactly", "read")
        if is_read or name == "reset":
            yield "step", 2
        yield (name, *arguments)
        if is_read:
            yield "step", 1


@given(script=st.lists(st.one_of(calls, calls, feeds, feeds, steps, steps, cancels, ends), max_size=30))
def test_as_asyncios(script):
    script = list(apart(script))
    (expected, _), *others = run([asyncio.StreamReader, *OURS], script)
    for found, _ in others:
        assert found == expected


@given(
    before=st.lists(st.one_of(feeds, steps)),
    during=st.lists(st.one_of(feeds, steps)),
    reading=to_the_end,
)
def test_to_the_end_as_asyncios(before, during, reading):
    script = [*before, reading, ("step", 2), *during, ("end",), ("step", 30)]
    (expected, _), *others = run([asyncio.StreamReader, *OURS], script)
    for found, _ in others:
        assert found[-1] == expected[-1]


@pytest.mark.parametrize(("limit", "some"), [(LIMIT, counted), (1000, calls)])
@given(data=st.data())
def test_no_byte_is_lost_or_repeated(limit, some, data):
    """What the reads gave, in the order of their ends, and what is left is what was fed."""
    any_step = st.one_of(some, some, to_the_end, feeds, feeds, steps, steps, cancels, st.just(("end",)))
    script = data.draw(st.lists(any_step, max_size=40))
    for _, player in run(OURS, script, limit):
        assert b"".join(player.taken) + player.reader._buffer == player.fed


def test_what_differs_on_purpose():
    """The examples for the head of this file."""
    script = [("read", -1), ("step", 2), ("feed", b"ab"), ("step", 2), ("cancel",)]
    asyncios, *ours = (player.reader for _, player in run([asyncio.StreamReader, *OURS], script))
    assert asyncios._buffer == b""
    assert [reader._buffer for reader in ours] == [b"ab"] * len(OURS)
    step = ("step", 3)
    script = [("readline",), step, ("readline",), ("feed", b"a"), step, ("feed", b"\n"), step]
    asyncios, *ours = (trace[-2] for trace, _ in run([asyncio.StreamReader, *OURS], script))
    assert asyncios == ([b"a\n", "waiting"], 0, False)  # for ever
    for (refused, answer), *_ in ours:
        assert refused[0] is RuntimeError
        assert answer == b"a\n"
