"""The states of ``CYREACTOR_BACKEND`` and ``CYREACTOR_TLS``, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cores import CORES

import cyreactor

SAY = "import cyreactor; print(cyreactor.backend)"
HIDE = "import sys; sys.modules['cyreactor._compiled.loop'] = None; "
TLS = "import cyreactor; print(cyreactor.tls.protocol.__name__, cyreactor._backend.tls_engine)"


def python(code, backend=None, tls=None):
    """Run code in another process; returns the finished one."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("CYREACTOR_")}
    env["PYTHONPATH"] = str(Path(cyreactor.__file__).parents[1])
    if backend is not None:
        env["CYREACTOR_BACKEND"] = backend
    if tls is not None:
        env["CYREACTOR_TLS"] = tls
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_unset_prefers_the_compiled_core():
    built = any(Path(cyreactor.__file__).with_name("_compiled").glob("loop.*.so"))
    expected = "compiled" if built or "compiled" in CORES else "pure"
    assert python(SAY).stdout.strip() == expected


def test_unset_falls_back_where_the_compiled_core_is_missing():
    assert python(HIDE + SAY).stdout.strip() == "pure"


@pytest.mark.parametrize("backend", CORES)
def test_forced(backend):
    assert python(SAY, backend).stdout.strip() == backend


def test_forcing_what_cannot_be_imported_raises():
    failed = python(HIDE + SAY, "compiled")
    assert failed.returncode != 0
    assert "ImportError" in failed.stderr or "ModuleNotFoundError" in failed.stderr


def test_a_name_that_is_none_raises():
    failed = python(SAY, "fast")
    assert failed.returncode != 0
    assert "CYREACTOR_BACKEND is 'fast'" in failed.stderr


def test_the_pure_core_never_loads_the_extension():
    loaded = python("import sys, cyreactor; print([m for m in sys.modules if '_compiled' in m])", "pure")
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", CORES)
def test_asyncio_s_tls_can_be_asked_for_on_both_cores(backend):
    assert python(TLS, backend, "standard").stdout.split() == ["TLSProtocol", "standard"]


def test_the_pure_core_has_asyncio_s_tls_and_no_other():
    assert python(TLS, "pure").stdout.split() == ["TLSProtocol", "standard"]
    failed = python(TLS, "pure", "memory")
    assert failed.returncode != 0
    assert "ImportError: CYREACTOR_TLS is 'memory', but" in failed.stderr


def test_a_tls_engine_that_is_none_raises():
    failed = python(TLS, tls="fast")
    assert failed.returncode != 0
    assert "CYREACTOR_TLS is 'fast'" in failed.stderr


if "compiled" in CORES:

    def test_the_compiled_core_s_tls():
        assert python(TLS, "compiled").stdout.split() == ["CompiledTLSProtocol", "direct"]
        assert python(TLS, "compiled", "memory").stdout.split() == ["CompiledTLSProtocol", "memory"]

    def test_openssl_that_cannot_be_called_is_not_used():
        hide = "import sys; sys.modules['ctypes'] = None; "
        failed = python(hide + TLS, "compiled", "direct")
        assert "CYREACTOR_TLS is 'direct', but" in failed.stderr
        make = (
            "import ssl; from cyreactor._compiled.tls_direct import make; "
            "ends = ssl.MemoryBIO(), ssl.MemoryBIO(); context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
            "print(type(make(context.wrap_bio(*ends, server_side=True), *ends)).__name__)"
        )
        assert python(hide + make, "compiled").stdout.strip() == "Engine"
