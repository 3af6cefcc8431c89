"""The command line: ``serve`` a directory or a protocol, show what was found with ``info``,
measure with ``compare``.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import __version__, backend, serve
from ._backend import MODULES
from ._echo import Echo, Lines
from .compare.options import add_arguments
from .http import FileProtocol

HTTP_PORT, PORT = 8000, 9000


class LoggedFiles(FileProtocol):
    """Tells of each answer on standard error, in the common log format."""

    _line = "-"

    def request_received(self, request: Any) -> None:
        major, minor = request.version
        self._line = f"{request.method} {request.target} HTTP/{major}.{minor}"
        super().request_received(request)

    def respond(self, status: int = 200, headers: Any = (), body: bytes = b"") -> None:
        super().respond(status, headers, body)
        self._log(status, str(len(body)))

    def start_response(self, status: int = 200, headers: Any = ()) -> None:
        super().start_response(status, headers)
        self._log(status, dict(headers)[b"Content-Length"].decode())

    def _refuse(self, status: int, why: str = "") -> None:
        super()._refuse(status, why)
        self._log(status, "-")

    def _log(self, status: int, size: str) -> None:
        peer = self.transport.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) else "-"
        when = time.strftime("%d/%b/%Y:%H:%M:%S %z")
        print(f'{host} - - [{when}] "{self._line}" {status} {size}', file=sys.stderr, flush=True)
        self._line = "-"


BUILT_IN: dict[str, type[asyncio.BaseProtocol]] = {"echo": Echo, "lines": Lines}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    wanted = getattr(options, "backend", None)
    if wanted and wanted != backend:
        _restart(wanted, sys.argv[1:] if arguments is None else list(arguments))
    try:
        code: int = options.run(options)
    except OSError as exc:
        print(f"cyreactor: {exc.strerror or exc}", file=sys.stderr)
        return 1
    except (ImportError, AttributeError, TypeError, ValueError, OverflowError) as exc:
        print(f"cyreactor: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # a second one, while the first was obeyed
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cyreactor", description="Network protocols in Python, fast.")
    parser.add_argument("--version", action="version", version=f"cyreactor {__version__} ({backend} core)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("serve", help="serve a directory or a protocol until Ctrl-C or SIGTERM")
    command.add_argument(
        "what", nargs="?", default=".",
        help="a directory, for HTTP (default: the current one); or the protocol echo, lines, or"
        " package.module:ProtocolClass. What has the name of a protocol is written ./echo",
    )  # fmt: skip
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port", type=int, help=f"TCP port, 0 for any (default: {HTTP_PORT} for a directory, else {PORT})"
    )
    command.add_argument("--unix", metavar="PATH", help="listen on this Unix socket instead")
    command.add_argument("--dot-files", action="store_true", help="serve names that begin with a dot, too")
    command.add_argument("--log", action="store_true", help="tell of each answer of a directory on stderr")
    command.add_argument("--backend", choices=("compiled", "pure"), help="run on this core")
    command.set_defaults(run=_serve)
    command = commands.add_parser("info", help="show the version, the core and the kernel's facilities")
    command.add_argument("--backend", choices=("compiled", "pure"), help="show this core")
    command.set_defaults(run=_info)
    command = commands.add_parser("compare", help="measure this loop beside others, and show a table")
    add_arguments(command)
    command.set_defaults(run=_compare)
    return parser


def _restart(wanted: str, arguments: list[str]) -> NoReturn:
    """The core is chosen at import, so another one needs another process image."""
    os.environ["CYREACTOR_BACKEND"] = wanted
    try:
        _try_backend(wanted)
    except ImportError as exc:
        print(f"cyreactor: the {wanted} core cannot be imported: {exc}", file=sys.stderr)
        raise SystemExit(1) from None
    os.execv(sys.executable, [sys.executable, "-m", "cyreactor", *arguments])


def _try_backend(name: str) -> None:
    for module in MODULES:
        importlib.import_module(f"cyreactor._{name}.{module}")


def _serve(options: argparse.Namespace) -> int:
    name = options.what
    serves_files = name not in BUILT_IN and (":" not in name or os.path.isdir(name))
    factory = _files(options) if serves_files else _factory(name)

    def ready(server: asyncio.Server) -> None:
        addresses = [_address(sock.getsockname()) for sock in server.sockets if not options.unix]
        if serves_files:
            where = " and ".join(f"http://{address}/" for address in addresses) or options.unix
            print(f"serving {os.path.realpath(name)} on {where} ({backend} core)", flush=True)
        else:
            where = " and ".join(addresses) or options.unix
            print(f"cyreactor {__version__} ({backend} core): {name} on {where}", flush=True)

    port = options.port if options.port is not None else HTTP_PORT if serves_files else PORT
    if options.unix is not None:
        serve(factory, path=options.unix, ready=ready)
    else:
        serve(factory, options.host, port, ready=ready)
    return 0


def _files(options: argparse.Namespace) -> Callable[[], asyncio.BaseProtocol]:
    files = LoggedFiles if options.log else FileProtocol
    try:
        return files.factory(options.what, hidden=options.dot_files)
    except OSError as exc:
        raise ValueError(f"{exc}; a protocol is echo, lines, or package.module:ProtocolClass") from None


def _address(name: Any) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _factory(name: str) -> Callable[[], asyncio.BaseProtocol]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    module_name, colon, class_name = name.partition(":")
    if not (module_name and colon and class_name):
        raise ValueError(f"no protocol {name!r}: give echo, lines, or package.module:ProtocolClass")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:  # a module of the user's may fail in any way
        raise ImportError(f"cannot import {module_name}: {_in_one_line(exc)}") from exc
    found = getattr(module, class_name)
    if not callable(found):
        raise TypeError(f"{name} is not a protocol class")
    factory: Callable[[], asyncio.BaseProtocol] = found
    return factory


def _in_one_line(exc: BaseException) -> str:
    """An exception, and the user's line that raised it."""
    lines = traceback.extract_tb(exc.__traceback__)
    where = "" if "importlib" in lines[-1].filename else f" ({lines[-1].filename}, line {lines[-1].lineno})"
    return f"{type(exc).__name__}: {exc}{where}"


def _compare(options: argparse.Namespace) -> int:
    from .compare import command

    if options.protocol:
        _factory(options.protocol)  # what is wrong with it is said once, not for each loop
    return command.run(options)


def _info(options: argparse.Namespace) -> int:
    from . import Reactor

    with Reactor() as reactor:
        facts = {
            "cyreactor": __version__,
            "core": backend,
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "waits with": reactor._poller.backend,
            "pidfd": "yes" if hasattr(os, "pidfd_open") else "no",
            "descriptors": _descriptor_limit(),
        }
    if backend == "pure":
        facts["compiled core"] = _why_not_compiled()
    for name, value in facts.items():
        print(f"{name:15}{value}")
    return 0


def _descriptor_limit() -> str:
    try:
        import resource
    except ImportError:
        return "unknown"
    return f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]} a process"


def _why_not_compiled() -> str:
    try:
        _try_backend("compiled")
    except ModuleNotFoundError as exc:
        return f"not in this installation ({exc.name}); CPython on Linux has it, by a wheel or a C compiler"
    except ImportError as exc:
        return f"not available: {exc}"
    return "available, not chosen"
