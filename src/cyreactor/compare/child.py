"""The part of a process that another one started to measure with: its ties, its channel, its end."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

CERTIFICATE = Path(__file__).with_name("localhost.pem")


def prepare(cpu: int | None) -> TextIO:
    """Tie this process to a CPU, raise its limit of descriptors; returns the channel to the parent.

    It was the standard output. What prints from here on goes to the standard error.
    """
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        import resource
    except ImportError:
        pass
    else:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # an unlimited one is more than some systems take
            pass
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def say(channel: TextIO, **message: Any) -> None:
    print(json.dumps(message), file=channel, flush=True)


def end_with_parent() -> None:
    """The parent holds the other end of the standard input, and so do no others."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def freeze() -> None:
    """Where the collector can be told so, what there is by now is no garbage, and not looked through."""
    if hasattr(gc, "freeze"):  # PyPy's cannot
        gc.freeze()


def named(name: str) -> Any:
    """The object that ``module:name`` stands for."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def in_one_line(exc: BaseException) -> str:
    return " ".join(traceback.format_exception_only(exc)[-1].split())
