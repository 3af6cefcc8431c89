"""Several pieces in one write, on every loop and every Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def forgets_to_pause(version: tuple[Any, ...]) -> bool:
    """Whether ``writelines`` of asyncio's own transports never pauses the protocol in that CPython.

    CVE-2024-12254: what a client does not take would fill the memory.
    """
    return (3, 12) <= version < (3, 12, 9) or (3, 13) <= version < (3, 13, 2)


def _writelines(transport: Any, pieces: tuple[bytes, ...]) -> None:
    transport.writelines(pieces)


def _write_joined(transport: Any, pieces: tuple[bytes, ...]) -> None:
    transport.write(b"".join(pieces))


gather: Callable[[Any, tuple[bytes, ...]], None]
gather = _write_joined if forgets_to_pause(sys.version_info) else _writelines
