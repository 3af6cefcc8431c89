"""Every test that takes the fixture ``core`` runs on both cores.

Nothing is skipped: where the compiled core is missing its tests fail, unless the whole run is meant
for the pure core (``CYREACTOR_BACKEND=pure``).
"""

from __future__ import annotations

from types import ModuleType

import pytest
from cores import CORES, load_core
from hypothesis import settings

# The machine's mood is no bug, and a failure that was found once is found again by its seed.
settings.register_profile("cyreactor", deadline=None, max_examples=200, print_blob=True)
settings.load_profile("cyreactor")


@pytest.fixture(scope="session", params=CORES)
def core(request: pytest.FixtureRequest) -> ModuleType:
    """The package on the compiled, then on the pure core."""
    package = load_core(request.param)
    assert package.backend == request.param
    return package
