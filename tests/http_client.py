"""What tests of HTTP servers share: a client that reads answers by the letter, files to serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import NamedTuple

from streams_kit import opened, peers

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def get(target="/", method="GET", version="1.1", body=b"", **fields):
    """A request; the names of fields are written with underscores."""
    lines = [f"{method} {target} HTTP/{version}", "Host: x"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PLAIN = ((b"Content-Type", b"text/plain"),)
SMALL = b"<p>small</p>\n"
LARGE = bytes(range(256)) * 4096  # beyond what is read at once, and beyond a slice of sendfile


def make_site(around):
    """A directory to serve, and in `around` what must not be."""
    root = around / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "small.html").write_bytes(SMALL)
    (root / "large.bin").write_bytes(LARGE)
    (root / "empty.txt").write_bytes(b"")
    (root / "home" / "index.html").write_bytes(b"home")
    (root / "sub" / "name with <&>.txt").write_text("odd")
    (root / ".hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "inside").symlink_to("sub")
    (root / "alias.html").symlink_to("small.html")
    (around / "secret.txt").write_text("secret")
    (root / "leak.txt").symlink_to(around / "secret.txt")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "gone").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    old = time.time() - 1000
    for path in root.rglob("*.*"):
        with contextlib.suppress(OSError):
            os.utime(path, (old, old))
    return root


def recorder(core, **attributes):
    """A protocol that answers each request with its target, and keeps what comes."""

    class Recorder(core.http.HTTPProtocol):
        def __init__(self):
            self.requests = []
            self.lost = asyncio.get_running_loop().create_future()

        def request_received(self, request):
            self.requests.append(request)
            self.respond(200, PLAIN, request.target.encode())

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.lost.set_result(exc)

    return type("Recorder", (Recorder,), attributes)


class Answer(NamedTuple):
    status: int
    fields: dict
    body: bytes


class Client:
    """A peer of a protocol on a connection of the running loop."""

    def __init__(self, protocol, reader, writer):
        self.protocol, self.reader, self.writer = protocol, reader, writer
        peers.append(writer)

    @classmethod
    async def of(cls, factory):
        return cls(*await opened(factory))

    def send(self, data):
        self.writer.write(data)

    async def ask(self, data, method="GET"):
        self.send(data)
        return await self.answer(method)

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        fields = [line.split(": ", 1) for line in lines[1:]]
        names = [name.lower() for name, _ in fields]
        assert len(set(names)) == len(names), f"a field comes twice: {names}"
        return int(status), {name.lower(): value for name, value in fields}

    async def answer(self, method="GET"):
        status, fields = await self.head()
        body = b""
        if method == "HEAD" or status in (204, 304) or status < 200:
            pass
        elif "transfer-encoding" in fields:
            assert "content-length" not in fields
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readline() == b"\r\n"
        elif "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(status, fields, body)

    async def at_end(self):
        """Whether nothing more comes, and the connection ends."""
        return await self.reader.read() == b""

    async def leave(self):
        self.writer.close()
        await self.writer.wait_closed()
