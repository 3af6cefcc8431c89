"""Runs one module of the interpreter's own ``test.test_asyncio`` on a Reactor: a child of ``test_suite.py``.

``MODULE:native`` has cyreactor's streams in the place of asyncio's besides.

``run_module.py MODULE REPORT`` appends one JSON object a line to the file REPORT: a test's name when it
starts, and its outcome when it is over. A test whose name is there already is not run again, so that the
parent can go on behind one that crashed or hung. ``CYREACTOR_BACKEND`` names the core.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import json
import selectors
import sys
import types
import unittest
from asyncio import base_events, unix_events
from pathlib import Path

from not_applicable import MAY_PASS, reason

import cyreactor
from cyreactor import streams

PACKAGE = "test.test_asyncio"

# The longest test of asyncio's takes a few seconds, and more before PyPy has compiled what it repeats. One
# that cannot apply may well hang.
SECONDS = 30 if sys.implementation.name == "cpython" else 120
SECONDS_NOT_APPLICABLE = 2

NATIVE = {
    "StreamReader": streams.StreamReader,
    "StreamReaderProtocol": streams.StreamProtocol,
    "StreamWriter": streams.StreamWriter,
    "open_connection": streams.open_connection,
    "open_unix_connection": streams.open_unix_connection,
    "start_server": streams.start_server,
    "start_unix_server": streams.start_unix_server,
}


class Loop(cyreactor.Reactor):
    """A Reactor that may be asked for epoll by its selector: the compiled core has its own."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        if cyreactor.backend == "compiled" and type(selector) is selectors.DefaultSelector:
            selector.close()
            selector = None
        super().__init__(selector)


def load(name: str) -> unittest.TestSuite:
    """The tests of a module, which gets a Reactor wherever it asks for a loop.

    The module sees copies of ``asyncio`` and ``base_events`` with other names for a loop: Reactor
    itself has to find asyncio's own under them.
    """
    name, _, variant = name.partition(":")
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = Loop
    module = importlib.import_module(f"{PACKAGE}.{name}")
    if hasattr(module, "asyncio"):
        other = NATIVE if variant else {}
        module.asyncio = copy(asyncio, SelectorEventLoop=Loop, EventLoop=Loop, BaseEventLoop=Loop, **other)
    if name == "test_base_events":  # others call the base's methods by its name
        module.base_events = copy(base_events, BaseEventLoop=Loop)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def copy(module: types.ModuleType, **other: object) -> types.ModuleType:
    twin = types.ModuleType(module.__name__)
    vars(twin).update(vars(module), **other)
    return twin


def short(test: unittest.TestCase) -> str:
    return test.id().removeprefix(f"{PACKAGE}.")


def without(suite: unittest.TestSuite, seen: set[str]) -> unittest.TestSuite:
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(without(test, seen))
        elif short(test) not in seen:
            kept.addTest(test)
    return kept


class Report(unittest.TestResult):
    """Writes down what happens to a test before the next one may take the process with it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = path.open("a", buffering=1)
        self.outcome, self.detail = "", ""

    def say(self, test: unittest.TestCase) -> None:
        why = reason(cyreactor.backend, short(test))
        line = {"test": short(test), "outcome": self.outcome, "detail": self.detail}
        line.update(not_applicable=why, may_pass=not why or why in MAY_PASS)
        print(json.dumps(line), file=self.file)
        if self.outcome == "started":
            limit = SECONDS_NOT_APPLICABLE if why else SECONDS
            faulthandler.dump_traceback_later(limit, exit=True)

    def startTest(self, test):
        self.outcome, self.detail = "started", ""
        self.say(test)
        self.outcome = "passed"

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        self.say(test)

    def failed(self, test, err):
        self.outcome = "failed"
        self.detail += self._exc_info_to_string(err, test)
        if not isinstance(test, unittest.TestCase):  # a class or a module could not be set up
            self.say(test)

    addError = addFailure = failed

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.failed(test, err)

    def addSkip(self, test, reason):
        self.outcome, self.detail = "skipped", reason

    def addUnexpectedSuccess(self, test):
        self.outcome = "failed"


def main(name: str, path: Path) -> None:
    seen = {json.loads(line)["test"] for line in path.read_text().splitlines()} if path.exists() else set()
    without(load(name), seen).run(Report(path))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
