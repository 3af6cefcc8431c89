"""The example of a Redis under the real clients: redis-py, redis-cli and redis-benchmark."""

from __future__ import annotations

import subprocess

import pytest
import services
from children import finish, start
from command_line import running_example
from cores import CORES, load_core


@pytest.fixture(scope="module", params=CORES)
def server(request):
    """The core's name and the port of the example on it."""
    with running_example(load_core(request.param), "kv_server.py") as process:
        yield request.param, process.port


def test_redis_py(server):
    core, port = server
    assert finish(start(core, "kv_client.py", KV_PORT=str(port)), 100) == "done\n"


def cli(port, *words, typed=None):
    command = [services.find("redis-cli"), "-p", str(port), *words]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=30, check=True)
    assert not done.stderr
    return done.stdout


def test_redis_cli(server):
    _, port = server
    assert cli(port, "SET", "greeting", "hello world") == "OK\n"
    assert cli(port, "GET", "greeting") == "hello world\n"
    assert cli(port, "-3", "--no-raw", "HELLO", "3").startswith('1# "server" => "cyreactor"')
    assert cli(port, "--no-raw", "MGET", "greeting", "none") == '1) "hello world"\n2) (nil)\n'
    assert cli(port, typed='SET quoted "a \\"b\\""\nGET quoted\nWHAT\n').split("\n")[:3] == [
        "OK", 'a "b"', "ERR unknown command",
    ]  # fmt: skip


def test_redis_benchmark(server):
    _, port = server
    program = services.find("redis-benchmark")
    for pipelined in ("1", "16"):
        command = [program, "-p", str(port), "-n", "2000", "-c", "20", "-P", pipelined, "--csv"]
        command += ["-t", "ping_inline,ping_mbulk,set,get,incr,mset"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        rows = [line.split(",") for line in done.stdout.splitlines()]
        assert len(rows) >= 7
        assert all(float(row[1].strip('"')) > 0 for row in rows if row[0] != '"test"')
        assert "rror" not in done.stdout + done.stderr
