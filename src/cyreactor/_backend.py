"""Chooses the core once, at import.

``CYREACTOR_BACKEND=compiled`` or ``pure`` forces one; forcing one that cannot be imported raises.
Without it the compiled core is used where it can be imported, else the pure one.

``CYREACTOR_TLS`` chooses in the same way what encrypts: ``standard`` is asyncio's own engine, the only one
of the pure core.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

MODULES = (
    "sink",
    "intake",
    "framing",
    "http_lines",
    "http_head",
    "http_parser",
    "http",
    "http_exchange",
    "reader",
    "resp_encoding",
    "resp",
    "poller",
    "endpoint",
    "connection",
    "datagram",
    "listener",
    "descriptor",
    "loop",
    "sock_calls",
)

TLS_ENGINES = ("direct", "memory", "standard")


def _load(core: str) -> dict[str, ModuleType]:
    return {name: import_module(f"cyreactor._{core}.{name}") for name in MODULES}


def _choose(wanted: str) -> tuple[str, dict[str, ModuleType]]:
    if wanted in ("compiled", "pure"):
        return wanted, _load(wanted)
    if wanted:
        raise ImportError(f"CYREACTOR_BACKEND is {wanted!r}; it must be 'compiled', 'pure' or unset")
    try:
        return "compiled", _load("compiled")
    except ImportError:
        return "pure", _load("pure")


def _choose_tls(wanted: str) -> str:
    if wanted not in ("", *TLS_ENGINES):
        raise ImportError(f"CYREACTOR_TLS is {wanted!r}; it must be {', '.join(TLS_ENGINES)} or unset")
    if backend == "pure" and wanted not in ("", "standard"):
        raise ImportError(f"CYREACTOR_TLS is {wanted!r}, but the pure core has the standard engine alone")
    if wanted == "direct" and not import_module("cyreactor._compiled.tls_direct").available():
        raise ImportError("CYREACTOR_TLS is 'direct', but the OpenSSL of the ssl module cannot be called")
    return wanted or ("standard" if backend == "pure" else "direct")


backend: str
backend, _core = _choose(os.environ.get("CYREACTOR_BACKEND", ""))
tls_engine = _choose_tls(os.environ.get("CYREACTOR_TLS", ""))
tls: Any = import_module("cyreactor._compiled.tls") if backend == "compiled" else None

if TYPE_CHECKING:
    from ._pure import connection as connection
    from ._pure import datagram as datagram
    from ._pure import descriptor as descriptor
    from ._pure import endpoint as endpoint
    from ._pure import framing as framing
    from ._pure import http as http
    from ._pure import http_exchange as http_exchange
    from ._pure import http_head as http_head
    from ._pure import http_lines as http_lines
    from ._pure import http_parser as http_parser
    from ._pure import intake as intake
    from ._pure import listener as listener
    from ._pure import loop as loop
    from ._pure import poller as poller
    from ._pure import reader as reader
    from ._pure import resp as resp
    from ._pure import resp_encoding as resp_encoding
    from ._pure import sink as sink
    from ._pure import sock_calls as sock_calls
else:
    globals().update(_core)
