"""Loops whose transports are another library's."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util


def aiofastnet() -> asyncio.AbstractEventLoop:
    """aiofastnet's transports, on uvloop where that is installed, else on asyncio's loop."""
    base = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    patch = importlib.import_module("aiofastnet").patch_loop
    loop: asyncio.AbstractEventLoop = patch(importlib.import_module(base).new_event_loop())
    return loop
