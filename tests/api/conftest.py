"""A directory for the tests of those who serve files."""

from __future__ import annotations

import pytest
from http_client import make_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("around"))
