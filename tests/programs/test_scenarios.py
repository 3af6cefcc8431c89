"""Programs that a service is made of, on both cores: each scenario is a script in ``scenarios/``.

It asks for real work with many clients at once and checks every answer. It must end by itself, complain
about nothing (warnings are errors there), and it runs twice: as a service does, and in debug mode.
"""

from __future__ import annotations

import pytest
import services
from children import SCENARIOS, finish, start
from cores import CORES

NAMES = sorted(path.stem for path in SCENARIOS.glob("*_.py"))


@pytest.fixture(scope="session")
def redis_port():
    with services.redis() as port:
        yield port


@pytest.fixture(scope="session")
def postgres_port():
    with services.postgres() as port:
        yield port


@pytest.fixture
def environment(name, request):
    """Where the server is that a scenario needs."""
    if name == "redis_":
        return {"REDIS_PORT": str(request.getfixturevalue("redis_port"))}
    if name == "asyncpg_":
        return {"POSTGRES_PORT": str(request.getfixturevalue("postgres_port"))}
    return {}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", NAMES)
def test_a_program_works_on_a_reactor(name, core, environment):
    assert finish(start(core, f"{name}.py", **environment), 100) == "done\n"
