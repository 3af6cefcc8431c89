"""examples/kv_server.py beside a real Redis, under redis-benchmark: ``python bench/kv.py``.

The same protocol class and commands on every loop; where the loop is not cyreactor's, with the pure
parser, or with hiredis in a protocol written by hand, which encodes its answers in Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import shutil
import sys
from pathlib import Path

from files import serving as serving_on
from processes import serving
from rounds import Server, cpus, heading, options, row
from servers import listen, run_on

EXAMPLES = Path(__file__).parents[1] / "examples"

# The label of a column: the loop, the core whose parser it uses, and whether hiredis parses instead.
SERVERS = {
    "redis-server": None,
    "compiled": ("cyreactor", "compiled", False),
    "pure": ("cyreactor", "pure", False),
    "uvloop + hiredis": ("uvloop", "pure", True),
    "asyncio + hiredis": ("asyncio", "pure", True),
    "uvloop + pure": ("uvloop", "pure", False),
    "asyncio + pure": ("asyncio", "pure", False),
}


def rate(output):
    """What redis-benchmark prints, as CSV."""
    return float(output.splitlines()[-1].split(",")[1].strip('"'))


def real_redis(cpu):
    forgetful = ["--save", "", "--appendonly", "no"]
    return serving_on(lambda port: ["redis-server", "--port", str(port), *forgetful], cpu)


def python_server(label, cpu):
    loop, core, by_hiredis = SERVERS[label]
    command = [sys.executable, __file__, "--serve", loop, *(["hiredis"] if by_hiredis else [])]
    return serving(command, cpu, CYREACTOR_BACKEND=core)


def measure(labels, command, pipelined, chosen):
    """The servers after all rounds."""
    server_cpu, client_cpu = cpus()
    count = chosen.requests * (1 if pipelined == 1 else 5)
    load = ["redis-benchmark", "-t", command, "-n", count, "-P", pipelined, "-c", 50, "-r", 1000, "--csv"]
    with contextlib.ExitStack() as stack:
        servers = []
        for label in labels:
            start = real_redis(server_cpu) if label == "redis-server" else python_server(label, server_cpu)
            servers.append(Server(*stack.enter_context(start)))
        for _ in range(chosen.rounds):
            for server in servers:
                server.round([*load, "-p", server.port], client_cpu, lambda output: (count, rate(output)))
    return servers


# --- the servers ---


def protocol(by_hiredis):
    sys.path.insert(0, str(EXAMPLES))
    connection = importlib.import_module("kv_server").Connection
    if not by_hiredis:
        return connection
    import hiredis

    from cyreactor.resp import encode_replies

    class Connection(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            self.reader = hiredis.Reader()
            self.answer = connection().answer

        def data_received(self, data):
            self.reader.feed(data)
            replies = []
            while (words := self.reader.gets()) is not False:
                replies.append(self.answer(words))
            self.transport.write(encode_replies(replies))

    return Connection


def run_server(loop, *by_hiredis):
    run_on(loop, listen(protocol(bool(by_hiredis))))


def available():
    found = [label for label, server in SERVERS.items() if server and importlib.util.find_spec(server[0])]
    return ["redis-server", *found] if shutil.which("redis-server") else found


def main():
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=40_000, help="of one, pipelined 5 times as many")
    parser.add_argument("--commands", default="ping_mbulk,set,get,incr")
    parser.add_argument("labels", nargs="*", help=f"of {', '.join(SERVERS)} (default: what is installed)")
    chosen = parser.parse_args()
    labels = chosen.labels or available()
    print(heading(labels))
    for pipelined in (1, 16):
        for command in chosen.commands.split(","):
            label = f"{command}, -P {pipelined}"
            if chosen.only in label:
                print(row(label, measure(labels, command, pipelined, chosen)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        run_server(*sys.argv[2:])
    else:
        main()
