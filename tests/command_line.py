"""Running ``python -m cyreactor`` and small scripts in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cyreactor

SOURCE = Path(cyreactor.__file__).parents[1]
EXAMPLES = Path(__file__).parents[1] / "examples"


def environment(core=None):
    env = {key: value for key, value in os.environ.items() if key != "CYREACTOR_BACKEND"}
    env["PYTHONPATH"] = str(SOURCE)
    if core is not None:
        env["CYREACTOR_BACKEND"] = core.backend
    return env


def command(core, *arguments, **options):
    """Run ``python -m cyreactor`` to its end; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "cyreactor", *arguments],
        env=environment(core),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )


def _interruptible(before):
    """A process that runs in a background of its shell ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before()


@contextlib.contextmanager
def serving(core, *arguments, before=lambda: None, **options):
    """Run ``python -m cyreactor serve``; yields the process, with its first line as ``ready``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cyreactor", "serve", *arguments],
        env=environment(core),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: _interruptible(before),
        **options,
    )
    try:
        process.ready = process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def start_example(core, name, *arguments):
    """Start an example on a port of its own; its first line has not been read yet."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLES / name), "--port", "0", *arguments],
        env=environment(core),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: _interruptible(lambda: None),
    )


def read_where(process):
    """Read the line that says where an example serves, and on which core or loop: ``where`` and ``on``."""
    line = process.stdout.readline()
    found = re.fullmatch(r"serving on (?:http://)?(\S+?)/?, (.+)\n", line)
    assert found, (line, process.poll())
    process.where, process.on = found.groups()
    process.port = int(process.where.rpartition(":")[2]) if ":" in process.where else None


def end_example(process):
    """End it by Ctrl-C; it must do so without a complaint."""
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", ""), process.args
    assert process.returncode == 0, process.args


@contextlib.contextmanager
def running_example(core, name, *arguments):
    """Run an example from its first line to Ctrl-C; yields the process."""
    process = start_example(core, name, *arguments)
    try:
        read_where(process)
        yield process
        end_example(process)
    finally:
        process.kill()
        process.communicate()


def port_of(process):
    return int(re.search(r":(\d+)(?:/ |$)", process.ready.strip())[1])


def client_of(process):
    return socket.create_connection(("127.0.0.1", port_of(process)), timeout=20)
