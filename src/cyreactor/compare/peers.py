"""What is compared: the loops, and a blocking server with a thread for each connection."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from dataclasses import dataclass

from .. import __version__


@dataclass(frozen=True)
class Peer:
    """One column of the comparison."""

    name: str
    factory: str  # module:callable that makes a loop; empty where there is none
    core: str = ""  # of cyreactor
    package: str = ""  # whose loop it is, where the factory is our own
    program: str = ""  # that echoes, instead of Python: says {"port": N}, takes its CPU as argument

    @property
    def ours(self) -> bool:
        return bool(self.core)

    @property
    def module(self) -> str:
        return self.package or self.factory.partition(":")[0]


PEERS = (
    Peer("compiled", "cyreactor:Reactor", "compiled"),
    Peer("pure", "cyreactor:Reactor", "pure"),
    Peer("asyncio", "asyncio:new_event_loop"),
    Peer("uvloop", "uvloop:new_event_loop"),
    Peer("rloop", "rloop:new_event_loop"),
    Peer("rsloop", "rsloop:new_event_loop"),
    Peer("blazio", "blazio:new_event_loop"),
    Peer("aiofastnet", "cyreactor.compare.patched:aiofastnet", package="aiofastnet"),
    Peer("winloop", "winloop:new_event_loop"),
    Peer("thread", ""),
)
BY_NAME = {peer.name: peer for peer in PEERS}

# Shown even where it is missing: that it is, is the first thing to know about a table.
ALWAYS = ("compiled", "pure", "asyncio", "thread")


def missing(peer: Peer) -> str:
    """Why the loop cannot run here; empty where it can."""
    if not peer.module:
        return ""
    module = f"cyreactor._{peer.core}.loop" if peer.ours else peer.module
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    return "" if found else "the compiled core was not built" if peer.ours else "not installed"


def chosen(names: str | None) -> list[Peer]:
    """The columns of ``--loops``: names, or ``module:callable`` for any other loop.

    Without it, all that are installed. Raises ValueError for a name that is none.
    """
    if names is None:
        return [peer for peer in PEERS if peer.name in ALWAYS or not missing(peer)]
    found = {name.strip(): named(name.strip()) for name in names.split(",") if name.strip()}
    if not found:
        raise ValueError("--loops names no loop")
    return list(found.values())


def named(name: str) -> Peer:
    if name in BY_NAME:
        return BY_NAME[name]
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"no loop {name!r}; there are {', '.join(BY_NAME)}, or module:callable")
    return Peer(name, name)


def version(peer: Peer) -> str:
    """Of what is installed; empty where nobody says."""
    if peer.ours:
        return __version__
    if peer.program:
        return ""
    if peer.module in ("", "asyncio"):
        return f"{platform.python_implementation()} {platform.python_version()}"
    try:
        return importlib.metadata.version(peer.module)
    except importlib.metadata.PackageNotFoundError:
        return ""
