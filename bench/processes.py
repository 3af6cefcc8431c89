"""Building the C helpers, and starting the servers that are compared."""

from __future__ import annotations

import contextlib
import importlib.util
import mmap
import os
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent

# What is compared: the label of a table's column, the loop, and the core where there is a choice.
LOOPS = {
    "compiled": ("cyreactor", "compiled"),
    "pure": ("cyreactor", "pure"),
    "asyncio": ("asyncio", None),
    "uvloop": ("uvloop", None),
    "rloop": ("rloop", None),
    "blazio": ("blazio", None),
}

# What counter.c counts, in its order.
KINDS = ("receive", "send", "wait", "control", "accept", "describe", "close")


def available():
    """The labels of the loops that can be imported here."""
    return [label for label, (module, _) in LOOPS.items() if importlib.util.find_spec(module)]


def build(name, folder, *options):
    """Compile a C file of this folder; returns the path of the result."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    target = Path(folder) / name
    subprocess.run([compiler, "-O2", *options, "-o", target, HERE / f"{name}.c", "-ldl"], check=True)
    return target


def build_counter(folder):
    return build("counter", folder, "-shared", "-fPIC")


class Counter:
    """The system calls of a process so far, by kind."""

    def __init__(self, preloaded, folder):
        self.preloaded = preloaded
        handle, self.path = tempfile.mkstemp(dir=folder)
        os.write(handle, bytes(8 * len(KINDS)))
        self.memory = mmap.mmap(handle, 8 * len(KINDS))
        os.close(handle)

    def environment(self):
        return {"LD_PRELOAD": str(self.preloaded), "COUNTER_FILE": self.path}

    def read(self):
        return struct.unpack(f"{len(KINDS)}Q", self.memory[:])


def pin(cpu):
    """For a new process: what ties it to a CPU; None to let the kernel choose."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


@contextlib.contextmanager
def serving(command, cpu=None, **environment):
    """Run a server that prints its port first; yields its process and the port."""
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, preexec_fn=pin(cpu)
    )
    try:
        line = server.stdout.readline()
        if not line:
            raise RuntimeError(f"{command} did not start")
        yield server, int(line)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def core_of(label):
    """What chooses the core of a label, where there is a choice."""
    core = LOOPS[label][1]
    return {} if core is None else {"CYREACTOR_BACKEND": core}


def python_server(label, workload, cpu=None, **environment):
    """A server of servers.py, on the loop with that label."""
    command = [sys.executable, HERE / "servers.py", LOOPS[label][0], workload]
    return serving(command, cpu, **core_of(label), **environment)


class Subject:
    """A process that runs one loop and does what it is told, see subject.py; a context manager.

    ``wrapper`` is the command that runs it, and what it is told beforehand comes after the loop's name.
    """

    def __init__(self, label, *arguments, wrapper=(), **environment):
        command = [*wrapper, sys.executable, HERE / "subject.py", LOOPS[label][0], *arguments]
        environment = {**os.environ, **core_of(label), **environment}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        with self.process:
            self.process.stdin.close()  # which ends it

    def ask(self, *words):
        """Give a command; returns the answer."""
        print(*words, sep="\t", file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args} ended when it was told {words}")
        return answer.rstrip("\n")

    def come_to_rest(self):
        come_to_rest(self.pid)


def come_to_rest(pid, state="S"):
    """Until the process sleeps, that is, in its wait: nothing of what it was asked is left to do."""
    status = Path(f"/proc/{pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != state:
        time.sleep(0.00005)
