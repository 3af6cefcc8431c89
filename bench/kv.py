"""examples/kv_server.py beside a real Redis, under redis-benchmark: ``python bench/kv.py``.

The same protocol class and commands on every loop; where the loop is not cyreactor's, with the pure
parser, or with hiredis in a protocol written by hand. The server on one CPU, redis-benchmark on another,
in turn, round after round: thousands of requests a second, and the server's CPU per request in µs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import importlib.util
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from processes import pin, serving

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


class Server:
    def __init__(self, process, port):
        self.pid, self.port = process.pid, port
        self.throughput, self.cpu = [], []

    def round(self, command, pipelined, requests, cpu):
        before = cpu_seconds(self.pid)
        arguments = ["-p", self.port, "-t", command, "-n", requests, "-P", pipelined, "-c", 50, "-r", 1000]
        done = subprocess.run(
            ["redis-benchmark", *map(str, arguments), "--csv"],
            capture_output=True, text=True, check=True, preexec_fn=pin(cpu),
        )  # fmt: skip
        self.throughput.append(float(done.stdout.splitlines()[-1].split(",")[1].strip('"')))
        self.cpu.append((cpu_seconds(self.pid) - before) / requests * 1e6)


def cpu_seconds(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextlib.contextmanager
def real_redis(cpu):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, preexec_fn=pin(cpu))
    try:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield process, port
    finally:
        process.terminate()
        process.wait()


def python_server(label, cpu):
    loop, core, by_hiredis = SERVERS[label]
    command = [sys.executable, __file__, "--serve", loop, *(["hiredis"] if by_hiredis else [])]
    return serving(command, cpu, CYREACTOR_BACKEND=core)


def measure(labels, command, pipelined, options):
    server_cpu, client_cpu = sorted(os.sched_getaffinity(0))[:2]
    with contextlib.ExitStack() as stack:
        servers = {}
        for label in labels:
            start = real_redis(server_cpu) if label == "redis-server" else python_server(label, server_cpu)
            servers[label] = Server(*stack.enter_context(start))
        for _ in range(options.rounds):
            for server in servers.values():
                server.round(command, pipelined, options.requests * (1 if pipelined == 1 else 5), client_cpu)
    return servers


def cell(server):
    return f"{statistics.median(server.throughput) / 1e3:.1f} k · {statistics.median(server.cpu):.2f}"


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


async def serve(by_hiredis):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol(by_hiredis), "127.0.0.1", 0, backlog=1024)
    gc.freeze()
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def run_server(loop, *by_hiredis):
    module = importlib.import_module(loop)
    factory = module.SelectorEventLoop if loop == "asyncio" else module.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(bool(by_hiredis)))


def available():
    found = [label for label, server in SERVERS.items() if server and importlib.util.find_spec(server[0])]
    return ["redis-server", *found] if shutil.which("redis-server") else found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default: 5)")
    parser.add_argument("--requests", type=int, default=40_000, help="of one, pipelined 5 times as many")
    parser.add_argument("--commands", default="ping_mbulk,set,get,incr")
    parser.add_argument("labels", nargs="*", help=f"of {', '.join(SERVERS)} (default: what is installed)")
    options = parser.parse_args()
    labels = options.labels or available()
    print(f"| | {' | '.join(labels)} |\n|---{'|---:' * len(labels)}|")
    for pipelined in (1, 16):
        for command in options.commands.split(","):
            servers = measure(labels, command, pipelined, options)
            cells = " | ".join(cell(servers[label]) for label in labels)
            print(f"| {command}, -P {pipelined} | {cells} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        run_server(*sys.argv[2:])
    else:
        main()
