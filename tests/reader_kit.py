"""What tests of stream readers share: reads, how they are begun and left, a transport to hold back."""

from __future__ import annotations

import asyncio

import pytest

READS = {
    "readline": ("readline", (), b"ab\n"),
    "readuntil": ("readuntil", (b"\nc",), b"ab\nc"),
    "readexactly": ("readexactly", (3,), b"ab\n"),
    "read": ("read", (2,), b"ab"),
    "__anext__": ("__anext__", (), b"ab\n"),
}
reads = pytest.mark.parametrize(("method", "arguments", "answer"), READS.values(), ids=READS)


class Held:
    """A transport that writes down how it is held back."""

    def __init__(self, *during):
        self.calls = []
        self.during = dict(during)

    def pause_reading(self):
        self.call("pause")

    def resume_reading(self):
        self.call("resume")

    def call(self, name):
        self.calls.append(name)
        self.during.get(name, lambda: None)()


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)


async def begun(reading):
    task = asyncio.ensure_future(reading)
    await turn()
    return task


def result(reading):
    """What a read gives that does not wait."""
    with pytest.raises(StopIteration) as stopped:
        reading.send(None)
    return stopped.value.value
