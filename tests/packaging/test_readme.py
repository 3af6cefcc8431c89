"""What the README says is so."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from command_line import environment

import cyreactor

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cyreactor.__file__).parent


def blocks(language):
    readme = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)


def test_the_example_serves(core, tmp_path):
    code = blocks("python")[0]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = tmp_path / "example.py"
    script.write_text(code.replace("9000", str(port)))
    with subprocess.Popen([sys.executable, str(script)], env=environment(core)) as server:
        try:
            with connect(port) as client:
                client.sendall(b"hello\n")
                assert client.recv(100) == b"HELLO\n"
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0


def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("the example does not listen")


def test_commands_are_one_line_each():
    commands = [block.strip() for block in blocks("sh")]
    assert all("\n" not in command for command in commands)
    assert sum("-m cyreactor serve" in command for command in commands) == 1
    assert sum("-m pytest" in command for command in commands) == 1


def test_files_that_it_names_are_there():
    for name in re.findall(r"^\| `([\w./]+)`", (ROOT / "README.md").read_text(), re.MULTILINE):
        place = name.removeprefix("src/cyreactor/")  # which is somewhere else once it is installed
        assert (PACKAGE / place).exists() or (ROOT / name).exists(), name
