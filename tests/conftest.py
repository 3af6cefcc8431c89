"""Every test that takes the fixture ``core`` runs on both cores, those of readiness on every selector too.

Nothing is skipped: where the compiled core is missing its tests fail, unless the whole run is meant
for the pure core (``CYREACTOR_BACKEND=pure``).
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cores import CORES, SELECTORS, load_core
from datagram_kit import V4, Inbox
from hypothesis import settings
from streams_kit import LOOPS, Wires, driver, player, said, steps

# They ask Linux itself: its epoll sets, its system calls, its sockets that keep records apart, its loopback
# of many addresses, and /proc.
LINUX_ONLY = [
    "api/test_leaks.py",
    "contract/test_addresses.py",
    "contract/test_coalescing.py",
    "contract/test_registrations.py",
    "contract/test_segments.py",
    "contract/test_system_calls.py",
]
collect_ignore = [] if sys.platform == "linux" else LINUX_ONLY

# The machine's mood is no bug, and a failure that was found once is found again by its seed.
settings.register_profile("cyreactor", deadline=None, max_examples=200, print_blob=True)
settings.register_profile("short", settings.get_profile("cyreactor"), max_examples=30)
settings.load_profile("cyreactor")


# What a selector has a part in, beside the platform's own: select, poll, kqueue.
ON_EVERY_SELECTOR = {
    "test_datagrams",
    "test_descriptors",
    "test_ending",
    "test_eof",
    "test_errors",
    "test_fork_and_threads",
    "test_reading",
    "test_scheduling",
    "test_servers",
    "test_sock_calls",
    "test_streams",
    "test_writing",
}


# What encrypts, on each core.
TLS_ENGINES = {"compiled": ["direct", "memory", "standard"], "pure": ["standard"]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        pairs = [(core, engine) for core in CORES for engine in TLS_ENGINES[core]]
        metafunc.parametrize(("core", "engine"), pairs, indirect=True)
        return
    chosen = any(mark.args[0] == "core" for mark in metafunc.definition.iter_markers("parametrize"))
    if "core" in metafunc.fixturenames and not chosen:
        everywhere = Path(metafunc.module.__file__).stem in ON_EVERY_SELECTOR
        legs = [*CORES, *SELECTORS] if everywhere else CORES
        metafunc.parametrize("core", legs, indirect=True, scope="session")


@pytest.fixture(scope="session")
def core(request: pytest.FixtureRequest) -> ModuleType:
    """The package on the compiled, then on the pure core, then on that with other selectors."""
    package = load_core(request.param)
    assert package.backend == ("pure" if request.param in SELECTORS else request.param)
    return package


@pytest.fixture
def engine(request, core, monkeypatch):
    """What encrypts on the core, instead of what it would choose; by its name in ``CYREACTOR_TLS``."""
    monkeypatch.setattr(core.tls, "protocol", core.tls.ENGINES[request.param])
    return request.param


@pytest.fixture
def reactor(core):
    """A reactor to step through; what it reports is expected by ``said``, or fails the test."""
    with core.Reactor() as reactor:
        reactor.reported = []
        reactor.set_exception_handler(lambda _, context: reactor.reported.append(context["message"]))
        yield reactor
        for connection in list(reactor.connections()):
            connection.abort()
        if not reactor.is_closed():
            steps(reactor)
        assert said(reactor) == []


@pytest.fixture
def wires(reactor):
    """Connections of the reactor's, put away at the end."""
    wires = Wires(reactor)
    yield wires
    wires.close()


@pytest.fixture
def drive(core):
    """Runs a coroutine on the core, see ``streams_kit.driver``."""
    return driver(core)


@pytest.fixture(params=LOOPS)
def play(core, request):
    """Runs a coroutine on the reactor, and on other loops, see ``streams_kit.player``."""
    return player(core, request.param)


@pytest.fixture
def play_once(core):
    """The same on the reactor alone, where the loop makes no difference."""
    return player(core, "reactor")


@pytest.fixture
def endpoints(reactor):
    """Makes endpoints of the reactor's, and puts them away."""
    made = []

    def endpoint(factory=Inbox, **options):
        transport, protocol = reactor.run_until_complete(reactor.create_datagram_endpoint(factory, **options))
        made.append(transport)
        return protocol

    yield endpoint
    for transport in made:
        transport.abort()
    steps(reactor)


@pytest.fixture
def client():
    """A blocking UDP socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(V4)
        sock.settimeout(5)
        yield sock
