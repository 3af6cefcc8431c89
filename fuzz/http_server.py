"""An HTTP server on a connection: what it is asked, and what the client receives."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from typing import Any

from cores import CORES, load_core

from .harness import Case, connection, few, same

FIELDS = ((b"Content-Type", b"text/plain"),)
DATE = re.compile(rb"Date: [^\r]*\r\n")


def check(data: bytes) -> None:
    case = Case(data)
    mode = case.byte()
    sizes = case.sizes()
    pieces = few(case.rest(), sizes)[0]
    traces = [served(core, bool(mode & 1), pieces) for core in CORES]
    same(traces[0], traces[-1], CORES[0])


def served(core: str, streaming: bool, pieces: list[bytes]) -> tuple[list[Any], bytes]:
    """What a server was told, and what it said, but when."""
    server = server_class(core, streaming)()
    said = b""
    with connection(core, server) as (loop, peer):
        peer.setblocking(False)
        for piece in [*pieces, b""]:
            with suppress(OSError):  # the server has ended the connection
                peer.send(piece)
            for _ in range(2):
                loop.run_once(0)
                server.answer_late()
            with suppress(BlockingIOError, ConnectionError):
                said += peer.recv(1 << 16)
        peer.close()
        while not server.lost:
            loop.run_once(0)
    return server.told, DATE.sub(b"", said)


@cache
def server_class(core: str, streaming: bool) -> Any:
    package = load_core(core)
    return type("Server", (Server, package.http.HTTPProtocol), {"streaming": streaming, "max_body": 300})


class Server:
    """Answers as the first letter of the path says."""

    streaming: bool
    respond: Any

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.late: list[Any] = []
        self.lost = False

    def request_received(self, request: Any) -> None:
        self.told.append((request.method, request.target, list(request.headers), request.body))
        if not self.streaming:
            self.answer(request.target)
        else:
            self.target = request.target

    def body_received(self, piece: bytes) -> None:
        self.told.append(len(piece))

    def body_ended(self, trailers: Any) -> None:
        self.told.append(list(trailers))
        self.answer(self.target)

    def answer(self, target: str) -> None:
        how = target[1:2]
        if how == "l":
            self.late.append(target[2:])
        elif how == "p":
            self.in_pieces()
        elif how == "e":
            self.respond(404, FIELDS, target.encode())
        elif how == "n":
            self.respond(204)
        else:
            self.respond(200, FIELDS, b"some text")

    def in_pieces(self) -> None:
        self.start_response(200, FIELDS)
        self.send_body(b"pie")
        self.send_body(b"ces")
        self.end_response()

    def answer_late(self) -> None:
        """The answers that were put off; the client may have left meanwhile."""
        late, self.late = self.late, []
        for target in late:
            self.answer(f"/{target.lstrip('l')}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(str(exc or ""))
        super().connection_lost(exc)  # type: ignore[misc]
        self.lost = True
