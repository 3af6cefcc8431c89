"""sendfile: by the system call, in order with what was written, and no end of flow control."""

from __future__ import annotations

import asyncio
import os

import pytest
from streams_kit import Recorder, pair, read_all, until

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        yield opened


def test_it_comes_between_what_is_written_before_and_after(drive, file, monkeypatch):
    calls = []
    sendfile = os.sendfile
    monkeypatch.setattr(os, "sendfile", lambda *args: calls.append(args) or sendfile(*args))

    async def scenario(loop):
        protocol, peer = await pair(loop)
        protocol.transport.write(b"<" * 100_000)
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        got = await read_all(loop, peer, 100_000 + len(CONTENT))
        assert await sending == len(CONTENT)
        protocol.transport.write(b">")
        assert got == b"<" * 100_000 + CONTENT
        assert await read_all(loop, peer, 1) == b">"
        assert calls
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_nobody_else_writes_meanwhile(drive, file):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="sendfile is in progress"):
            protocol.transport.write(b"x")
        await read_all(loop, peer, len(CONTENT))
        await sending
        protocol.transport.abort()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_reading_resumed_meanwhile_takes_nothing_from_it(drive, file):
    """A stream reader resumes its transport whenever it has taken enough."""

    async def scenario(loop):
        protocol, peer = await pair(loop)
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        await asyncio.sleep(0)
        protocol.transport.resume_reading()
        assert len(await read_all(loop, peer, len(CONTENT))) == len(CONTENT)
        await sending
        peer.send(b"thanks")
        await until(lambda: protocol.received == b"thanks")
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_cancelled_while_the_queue_is_full_it_leaves_the_connection_as_it_was(drive, file):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        protocol.transport.write(bytes(100_000))
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        protocol.transport.write(b"x")
        assert len(await read_all(loop, peer, 100_001)) == 100_001
        peer.send(b"y")
        await until(lambda: protocol.received == b"y")
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_a_connection_that_sends_a_file_is_known_to_the_loop(drive, file):
    async def scenario(loop):
        protocol, peer = await pair(loop)
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        await asyncio.sleep(0)
        assert protocol.transport in list(loop.connections())
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        protocol.transport.abort()
        await protocol.lost
        peer.close()

    drive(scenario)


def test_where_the_system_call_cannot_be_used_it_falls_back(drive, file, monkeypatch):
    def refuse(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "sendfile", refuse)

    async def scenario(loop):
        protocol, peer = await pair(loop, Recorder)
        sending = loop.create_task(loop.sendfile(protocol.transport, file))
        assert await read_all(loop, peer, len(CONTENT)) == CONTENT
        assert await sending == len(CONTENT)
        protocol.transport.close()
        await protocol.lost
        peer.close()

    drive(scenario)
