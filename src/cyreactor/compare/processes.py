"""The processes that are measured and that measure: started, asked, ended."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Seconds that a process may take to start.
START = 10.0

# Bytes of its standard error that are looked at.
LAST_WORDS = 4096

# Seconds in which a server that closed a connection says why, or ends.
LAST_MOMENT = 0.2

# A process of its own group does not get the terminal's Ctrl-C: the parent ends it.
APART: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x200}


class PeerError(Exception):
    """A server, or what asks it, does not do what it is for; ``short`` says it in one or two words."""

    def __init__(self, short: str, reason: str) -> None:
        super().__init__(reason)
        self.short = short


class Process:
    """A process that answers commands, JSON objects, one a line."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.errors = tempfile.TemporaryFile("a+b")  # appends, wherever this process reads
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            **APART,
        )
        self.answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, command: object, timeout: float) -> dict[str, Any]:
        """Raises PeerError where no answer comes in ``timeout`` seconds, or ``error``."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise self.ended() from None
        return self.answer(timeout)

    def answer(self, timeout: float = START) -> dict[str, Any]:
        """What it says next."""
        try:
            line = self.answers.get(timeout=timeout)
        except queue.Empty:
            self.process.kill()  # what it says later would be taken for the answer to another question
            raise PeerError("timed out", f"no answer within {timeout:.0f} seconds") from None
        if not line:
            raise self.ended()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(_short(answer["error"]), answer["error"])
        return answer

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ended(self) -> PeerError:
        """Why it ended by itself, as far as it said so."""
        try:
            code: int | None = self.process.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        return PeerError("crashed", f"ended with code {code}: {self.said() or 'it said nothing'}")

    def said(self) -> str:
        """The last line of its standard error."""
        self.errors.seek(max(self.errors.seek(0, os.SEEK_END) - LAST_WORDS, 0))
        lines = self.errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def explain(self, exc: PeerError) -> PeerError:
        """What others noticed of it, in the light of what it says itself, which may come a moment later."""
        try:
            self.process.wait(LAST_MOMENT)
        except subprocess.TimeoutExpired:
            pass
        else:
            return self.ended()
        said = self.said()
        return PeerError(exc.short, f"{exc}; it says: {said}") if said else exc

    def cpu(self) -> float | None:
        """CPU seconds used so far, by all its threads; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        try:
            return time.clock_gettime_ns((~self.process.pid << 3) | 2) / 1e9  # clock_getcpuclockid(3)
        except OSError:
            raise self.ended() from None

    def memory(self) -> int | None:
        """Bytes that it has in memory; None where the system does not tell."""
        try:
            lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:  # a command that it did not read
            pass
        self.errors.close()


def _short(error: str) -> str:
    """A word or two for a cell, the whole error stands below the table."""
    name, _, text = error.partition(":")
    if name == "ModuleNotFoundError":
        return f"no {text.rpartition(' ')[2].strip(chr(39))}"
    return {"NotImplementedError": "cannot", "TimeoutError": "timed out"}.get(name, "failed")


def python(module: str, argument: str) -> list[str]:
    """The command that runs a module of this package."""
    return [sys.executable, "-m", f"cyreactor.compare.{module}", argument]


def environment(core: str = "") -> dict[str, str]:
    """This process's own, with the core chosen, or left to the package."""
    found = {key: value for key, value in os.environ.items() if key != "CYREACTOR_BACKEND"}
    if core:
        found["CYREACTOR_BACKEND"] = core
    return found
