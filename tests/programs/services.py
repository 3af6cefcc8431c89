"""Real servers for the scenarios, each on a free port and in a folder that is gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"

# Set by .ci/run: what is missing is a failure.
REQUIRED = os.environ.get("CYREACTOR_PROGRAMS") == "required"


@contextmanager
def redis():
    """The port of a redis-server."""
    program = find("redis-server")
    with folder() as place:
        port = free_port()
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", place]
        with running([program, *options], place), awaited(port):
            yield port


@contextmanager
def postgres():
    """The port of a PostgreSQL server, with the user ``postgres``, who needs no password."""
    programs = postgres_programs()
    # It refuses to run as root; Debian's package makes this user.
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with folder() as place:
        port = free_port()
        data = Path(place, "data")
        certificate = Path(place, "localhost.pem")
        shutil.copy(CERTIFICATE, certificate)
        certificate.chmod(0o600)
        if owner:
            for path in (place, certificate):
                shutil.chown(path, "postgres", "postgres")
        initialise = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(
            [*initialise, "-E", "UTF8", "--locale=C"],
            check=True,
            timeout=120,
            cwd=place,
            stdout=subprocess.DEVNULL,
            **owner,
        )
        settings = {
            "port": port,
            "listen_addresses": "localhost",
            "unix_socket_directories": place,
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": certificate,
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with running([programs / "postgres", "-D", data, *options], place, **owner), awaited(port):
            yield port


def find(program):
    path = shutil.which(program)
    return path or missing(program)


def postgres_programs():
    """The folder of the server's programs: Debian keeps each version in a place of its own, off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    path = versions[-1] if versions else shutil.which("postgres")
    return Path(path or missing("postgres")).resolve().parent


def missing(program):
    reason = f"{program} IS NOT INSTALLED: its client was not tried (Debian: postgresql, redis-server)"
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def folder():
    """Not pytest's, which only its own user can enter."""
    with tempfile.TemporaryDirectory(prefix="cyreactor-") as place:
        yield place


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running(command, place, **options):
    """The command in the background, until the end of the block; SIGINT is how both servers end at once."""
    with Path(place, "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log, **options)
    try:
        yield process
    finally:
        process.send_signal(2)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def awaited(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            break
    else:
        raise AssertionError(f"nothing listens on port {port}")
    yield
