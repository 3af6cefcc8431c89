"""Follows a page of docs/ as its reader would: every snippet is run, and says what the page says it does.

A page has a folder of its own, in which its blocks take effect one after the other:

- ``python`` that begins with ``# name.py`` is that file; any other is run where the ``pycon`` blocks are;
- ``pycon`` is a session with the interpreter, one for the whole page, as in a doctest;
- ``console`` has commands after ``$``, and what they print. One that is still running when it has printed
  that keeps its terminal, and the next command has another. ``^C`` ends all that run, without a traceback;
- ``sh`` and ``text`` are only read.

Where the page says 8000 or 9000 a free port is taken, for "compiled" whichever core runs, and ``...`` stands
for anything. What ``pip install`` names must be installed already.
"""

from __future__ import annotations

import contextlib
import doctest
import gc
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

import cyreactor

DOCS = Path(__file__).parents[1] / "docs"
CERTIFICATE = Path(__file__).parent / "certificates" / "localhost.pem"

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?:# (?P<file>\w+\.py)\n)?(?P<text>.*?)^```$", re.M | re.DOTALL)
PORTS = re.compile(r"\b(?:8000|9000)\b")

# Seconds until a command has printed what it should, and those in which one that has may end.
PATIENCE, MOMENT = 30, 0.25


def follow(page, folder):
    """Do what a page says. Raises AssertionError for what turns out otherwise."""
    reader = Reader(folder)
    with reader:
        for block in BLOCK.finditer(page.read_text()):
            kind, file, text = block.group("kind", "file", "text")
            where = f"{page.name}, line {page.read_text()[: block.start()].count(chr(10)) + 1}"
            if kind == "python" and file:
                (folder / file).write_text(reader.here(text))
            elif kind == "python":
                exec(compile(reader.here(text), where, "exec"), reader.names)
            elif kind in ("pycon", "console"):
                getattr(reader, kind)(reader.here(text), where)
            else:
                assert kind in ("sh", "text"), f"{where}: what is {kind}?"


class Reader:
    """Somebody with a folder, an interpreter, and as many terminals as a page wants."""

    def __init__(self, folder):
        self.folder = folder
        self.names = {"__name__": "__main__"}
        self.terminals = []
        self.ports = {}
        self.checker = doctest.OutputChecker()

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", ResourceWarning)  # as for everybody at a prompt
        self.stack.callback(gc.collect)
        self.stack.callback(self.forget_modules, set(sys.modules))
        self.stack.callback(os.chdir, os.getcwd())
        shutil.copy(CERTIFICATE, self.folder)
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        return self

    def __exit__(self, *exc_info):
        with self.stack:
            self.names.clear()
            self.interrupt()

    def forget_modules(self, known):
        sys.path.remove(str(self.folder))
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).parent == self.folder:
                del sys.modules[name]

    def here(self, text):
        """The text, with ports that are free on this machine."""
        return PORTS.sub(lambda port: self.ports.setdefault(port[0], free_port()), text)

    def pycon(self, text, where):
        test = doctest.DocTestParser().get_doctest(text, self.names, where, where, 0)
        said = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        failed = runner.run(test, out=said.append, clear_globs=False).failed
        self.names.update(test.globs)
        assert not failed, "".join(said)

    def console(self, text, where):
        if text.strip() == "^C":
            self.interrupt()
            return
        for command, printed in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", text, re.MULTILINE):
            if command.startswith("pip install "):
                check_installed(command)
            else:
                self.type(command, re.sub(r"\bcompiled\b", cyreactor.backend, printed), where)

    def type(self, command, printed, where):
        """Type a command, and wait until it has printed that."""
        terminal = Terminal(command, self.folder)
        self.terminals.append(terminal)
        deadline = time.monotonic() + PATIENCE
        while not self.matches(printed, terminal.read()):
            over = terminal.process.poll() is not None or time.monotonic() > deadline
            if over and not self.matches(printed, terminal.read()):
                raise AssertionError(f"{where}: {command}\n{terminal.read()}")
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = terminal.process.wait(MOMENT)
            assert (code, self.matches(printed, terminal.read())) == (0, True), f"{where}: {terminal.read()}"

    def matches(self, wanted, got):
        return self.checker.check_output(wanted, got, doctest.ELLIPSIS)

    def interrupt(self):
        """Ctrl-C in all terminals."""
        while self.terminals:
            terminal = self.terminals.pop()
            before = terminal.read()
            terminal.end()
            said = terminal.read().removeprefix(before)
            assert "Traceback" not in said, f"{terminal.command}: {said}"


class Terminal:
    """One in which a command runs; what it prints goes into a file."""

    def __init__(self, command, folder):
        self.command = command
        self.output = folder / f".output-{time.monotonic_ns()}"
        python = shlex.quote(sys.executable)
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(cyreactor.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",  # as on a terminal
        }
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                re.sub(r"\bpython(?= )", lambda word: python, command),
                shell=True, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=obey_interrupts,
            )  # fmt: skip

    def read(self):
        return self.output.read_text()

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"{self.command}: not ended by Ctrl-C\n{self.read()}") from None


def obey_interrupts():
    """What was started in the background of a shell ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def check_installed(command):
    for requirement in shlex.split(command)[2:]:
        metadata.version(requirement.partition("[")[0])
