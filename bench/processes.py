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

KINDS = ("receive", "send", "wait", "control")


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
    """The system calls of a server so far, by kind."""

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


def python_server(label, workload, cpu=None, **environment):
    """A server of servers.py, on the loop with that label."""
    loop, core = LOOPS[label]
    if core is not None:
        environment["CYREACTOR_BACKEND"] = core
    return serving([sys.executable, HERE / "servers.py", loop, workload], cpu, **environment)
