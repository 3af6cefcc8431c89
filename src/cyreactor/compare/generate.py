"""The process of the load generator: ``python -m cyreactor.compare.generate CPU``.

Reads commands from its standard input, a JSON object a line, and answers each on its standard output.
"""

from __future__ import annotations

import base64
import importlib
import socket
import sys
from json import loads
from typing import Any

from .child import in_one_line, prepare, say
from .probe import client_context

try:
    load: Any = importlib.import_module("cyreactor._compiled.load")
    CORE = "compiled"
except ImportError:
    load = importlib.import_module("cyreactor._pure.load")
    CORE = "pure"
load_tls: Any = importlib.import_module(f"cyreactor._{CORE}.load_tls")

# Idle connections after which the server is waited for; less than any backlog.
ACCEPTED = 200


class Generators:
    """One for each server that is being measured, and the idle connections beside them."""

    def __init__(self) -> None:
        self.loads: dict[str, Any] = {}
        self.idle: dict[str, list[socket.socket]] = {}

    def core(self) -> dict[str, Any]:
        return {"core": CORE}

    def open(self, key: str, kind: str, port: int, count: int, request: str, expect: int) -> dict[str, Any]:
        """``expect`` is the size of an answer in bytes, or the datagrams of a burst."""
        arguments = port, count, base64.b64decode(request), expect
        if kind == "datagram":
            self.loads[key] = load.DatagramLoad(*arguments)
        elif kind == "tls":
            self.loads[key] = load_tls.TLSLoad(*arguments, client_context())
        else:
            self.loads[key] = load.StreamLoad(*arguments, kind == "reconnect")
        return {}

    def run(self, key: str, seconds: float, patience: float) -> dict[str, Any]:
        completed, total, lost, cpu, histogram = self.loads[key].run(seconds, patience)
        return {"completed": completed, "total": total, "lost": lost, "cpu": cpu, "histogram": histogram}

    def hold(self, key: str, port: int, count: int) -> dict[str, Any]:
        """Open so many more idle connections to a server that echoes; it has accepted them afterwards.

        Every now and then it is waited for: what its backlog has no room for would be tried again by the
        kernel, a second later.
        """
        held = self.idle.setdefault(key, [])
        for number in range(1, count + 1):
            held.append(socket.socket())
            held[-1].settimeout(10.0)
            held[-1].connect(("127.0.0.1", port))
            if number % ACCEPTED == 0 or number == count:
                held[-1].sendall(b"x")
                held[-1].recv(1)
        return {}

    def close(self, key: str) -> dict[str, Any]:
        if key in self.loads:
            self.loads.pop(key).close()
        for sock in self.idle.pop(key, ()):
            sock.close()
        return {}


def main() -> None:
    cpu = sys.argv[1]
    channel = prepare(int(cpu) if cpu else None)
    generators = Generators()
    for line in sys.stdin:
        command = loads(line)
        try:
            answer = getattr(generators, command.pop("do"))(**command)
        except Exception as exc:  # of the server's making, mostly
            answer = {"error": in_one_line(exc)}
        say(channel, **answer)


if __name__ == "__main__":
    main()
