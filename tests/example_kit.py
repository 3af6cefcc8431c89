"""What tests of the examples share: clients of them, and running one to its end."""

from __future__ import annotations

import re
import select
import socket
import struct
import subprocess
import sys
import zlib
from contextlib import contextmanager

import pytest
from command_line import EXAMPLES, environment


def run(core, name, *arguments):
    """Run an example to its end; its exit code, stdout and stderr."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, env=environment(core), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def in_one_sentence(name, complaint):
    """A complaint is one line that says who complains, and about what."""
    return re.fullmatch(rf"{name.removesuffix('.py')}: .+\n", complaint)


def said(process):
    """The line that an example prints now; none within a while is an empty one."""
    ready, _, _ = select.select([process.stdout], [], [], 20)
    return process.stdout.readline() if ready else ""


@contextmanager
def connected(process):
    """A client, of whose bytes the kernel keeps few."""
    with socket.socket() as client:
        client.settimeout(20)
        for buffer, size in ((socket.SO_SNDBUF, 64), (socket.SO_RCVBUF, 128)):
            client.setsockopt(socket.SOL_SOCKET, buffer, size * 1024)
        client.connect(("127.0.0.1", process.port))
        yield client


def received(client, count):
    data = bytearray()
    while len(data) < count and (piece := client.recv(count - len(data))):
        data += piece
    return bytes(data)


def exchange(process, sent):
    """Everything that it answers to what is sent, up to the end of the stream."""
    with connected(process) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return received(client, 1 << 24)


def fill(client, piece, most=64 << 20):
    """Send it over and over, without reading, until the server takes no more; how many bytes that were."""
    client.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < most:
            sent += client.send(memoryview(piece)[sent % len(piece) :])
    client.settimeout(20)
    return sent


def fetch(process, path, method="GET"):
    """The status, the head and the body of an answer."""
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = exchange(process, request.encode()).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def record(kind, value=b"", flaw=0):
    """A record of custom_framer.py, as its docstring describes it."""
    body = struct.pack("!BI", kind, len(value)) + value
    return body + struct.pack("!I", zlib.crc32(body) ^ flaw)
