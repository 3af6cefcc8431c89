"""HTTP side by side: ``python bench/web.py [--seconds S] [--rounds N]``.

A small answer to a request with a browser's headers, alone and 16 pipelined.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
from pathlib import Path

from processes import HERE, build, serving
from rounds import Server, cpus, heading, options, row, trips

# The label of a column: the server, the loop, and the core where there is a choice.
SERVERS = {
    "compiled": ("cyreactor", "cyreactor", "compiled"),
    "pure": ("cyreactor", "cyreactor", "pure"),
    "uvloop + httptools": ("httptools", "uvloop", None),
    "the same, joined": ("httptools-joined", "uvloop", None),
    "asyncio + httptools": ("httptools", "asyncio", None),
}

# What Firefox sends to a site on this machine.
REQUEST = (
    b"GET /some/path?with=query HTTP/1.1\r\n"
    b"Host: localhost:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: none\r\n"
    b"Sec-Fetch-User: ?1\r\n"
    b"\r\n"
)

# The label of a row: connections, and requests that are sent together.
ROWS = {
    "hello, 10 connections": (10, 1),
    "hello, 200 connections": (200, 1),
    "16 pipelined, 10 connections": (10, 16),
}


def answer_size(port):
    """Bytes of the answer to one request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(REQUEST)
        return len(client.recv(1 << 16))


def start(stack, label, cpu):
    server, loop, core = SERVERS[label]
    environment = {"CYREACTOR_BACKEND": core} if core else {}
    command = [sys.executable, HERE / "web_servers.py", server, loop]
    return Server(*stack.enter_context(serving(command, cpu, **environment)))


def measure(shape, folder, chosen):
    """The servers after all rounds."""
    connections, together = shape
    server_cpu, client_cpu = cpus(chosen.unpinned)

    def requests(output):
        count, rate = trips(output)
        return count * together, rate * together

    with contextlib.ExitStack() as stack:
        servers = [start(stack, label, server_cpu) for label in chosen.labels]
        answers = [answer_size(server.port) * together for server in servers]
        for _ in range(chosen.rounds):
            for server, answer in zip(servers, answers, strict=True):
                numbers = server.port, connections, len(REQUEST), together, answer, chosen.seconds
                server.round([folder / "load", *numbers, folder / "request"], client_cpu, requests)
    return servers


def main():
    parser = options(__doc__, type=float, default=1.0)
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the CPUs, as users do")
    parser.add_argument("labels", nargs="*", default=list(SERVERS), help="what to compare (default: all)")
    chosen = parser.parse_args()
    print(heading(chosen.labels))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build("load", folder)
        (folder / "request").write_bytes(REQUEST)
        for label, shape in ROWS.items():
            if chosen.only in label:
                print(row(label, measure(shape, folder, chosen)), flush=True)


if __name__ == "__main__":
    main()
