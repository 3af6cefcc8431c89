"""Every example, run as by somebody who tries it: it answers, takes bad input, ends without a complaint."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import socket
import struct
import sys
from contextlib import ExitStack

import pytest
from command_line import EXAMPLES, end_example, read_where, running_example, start_example
from example_kit import connected, exchange, fetch, fill, in_one_sentence, received, record, run, said

# What each is sent first, and how its answer begins.
GREETINGS = {
    "asyncio_app.py": (b"echo hello\n", b"hello\n"),
    "chat.py": (b"ann\n", b"* your name?\n* ann came\n"),
    "custom_framer.py": (record(1, b"hello"), record(1, b"hello")),
    "echo.py": (b"hello", b"hello"),
    "http_files.py": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 302 Found\r\n"),
    "kv_server.py": (b"PING\r\n", b"+PONG\r\n"),
    "line_server.py": (b"get none\n", b"0\n"),
}


@pytest.fixture(scope="module")
def examples(core):
    """All of them, running, by name; each with a client that says nothing and is there to the end."""
    running = {name: start_example(core, name) for name in GREETINGS}
    silent = ExitStack()
    try:
        for process in running.values():
            read_where(process)
            silent.enter_context(connected(process))
        yield running
        for process in running.values():
            end_example(process)
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
        silent.close()


# --- all of them ---


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(GREETINGS)


def test_the_table_of_examples_is_complete():
    named = re.findall(r"^\| `(\w+\.py)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(GREETINGS)


@pytest.mark.parametrize("name", GREETINGS)
def test_it_says_where_it_is_and_answers(core, examples, name):
    sent, answer = GREETINGS[name]
    assert examples[name].on == f"{core.backend} core"
    with connected(examples[name]) as client:
        client.sendall(sent)
        assert received(client, len(answer)) == answer


def test_a_port_that_is_taken_is_told_in_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        started = [start_example(None, name, "--port", port) for name in GREETINGS]  # at once: it is quicker
        for name, process in zip(GREETINGS, started, strict=True):
            told, complaint = process.communicate(timeout=30)
            assert (process.returncode, told) == (1, ""), name
            assert in_one_sentence(name, complaint)
            assert port in complaint


BAD = [(name, f"--port={port}") for name in GREETINGS for port in ("99999", "-1", "many", "")]
BAD += [("chat.py", f"--patience={seconds}") for seconds in ("0", "-1", "nan", "long")]
BAD += [("echo.py", "--unix="), ("echo.py", "--unix=/no/such/folder/socket")]
BAD += [("http_files.py", "/no/such/folder")]
BAD += [("asyncio_app.py", "--loop=none"), ("asyncio_app.py", "--clients=many")]


@pytest.mark.parametrize(("name", "argument"), BAD)
def test_a_bad_argument_is_told_in_a_sentence(monkeypatch, capsys, name, argument):
    """In this process, which is quicker."""
    monkeypatch.setattr(sys, "argv", [name, argument])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    complaint = capsys.readouterr().err
    if end.value.code == 1:
        assert in_one_sentence(name, complaint)
    else:
        assert end.value.code == 2
        assert f"{name}: error: argument {argument.partition('=')[0]}: " in complaint


# --- echo.py ---


def test_echo_reads_no_faster_than_its_client(examples):
    with connected(examples["echo.py"]) as client:
        sent = fill(client, bytes(range(256)) * 256)
        client.shutdown(socket.SHUT_WR)
        assert received(client, sent + 1) == (bytes(range(256)) * (sent // 256 + 1))[:sent]


def test_echo_on_a_unix_socket(core, tmp_path):
    path = tmp_path / "socket"
    with running_example(core, "echo.py", "--unix", str(path)) as process:
        assert process.where == str(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"hello")
            assert received(client, 5) == b"hello"
    assert not path.exists()


# --- line_server.py ---


def test_counters(examples):
    lines = b"add a 3\nadd a\r\n\nadd b -1\nget a b c\nlist\ndrop a\nlist"
    assert exchange(examples["line_server.py"], lines + b"\ndrop b\nadd") == (
        b"3\n4\n-1\n4\n-1\n0\na 4\nb -1\n.\n4\nb -1\n.\n-1\n"
    )


@pytest.mark.parametrize(
    "line", [b"what", b"add", b"add a many", b"add a 1 1", b"get", b"add a-b", b"get \xff", b"list a"]
)
def test_a_line_that_is_no_command_is_answered_with_an_error(examples, line):
    answers = exchange(examples["line_server.py"], line + b"\nget none\n").split(b"\n")
    assert answers[0].startswith(b"error: ")
    assert answers[1:] == [b"0", b""]


def test_a_line_that_is_too_long_ends_the_connection(examples):
    for name in ("line_server.py", "chat.py"):
        with connected(examples[name]) as client:
            client.sendall(b"get none\n" + b"x" * 1001)
            assert len(received(client, 1 << 20)) < 200


def test_counters_reads_no_faster_than_its_client(examples):
    with connected(examples["line_server.py"]) as client:
        fill(client, b"what\n" * 1000)


def test_many_answers_wait_for_their_client_and_keep_their_order(examples):
    """Five bytes are answered with two thousand, and nothing is read at first."""
    server = examples["line_server.py"]
    names = [f"name_{number:035}" for number in range(50)]
    page = "".join(f"{name} 1\n" for name in names)
    exchange(server, "".join(f"add {name}\n" for name in names).encode())
    with connected(server) as client:
        client.sendall((b"add z\n" + b"list\n" * 9) * 1000)
        client.shutdown(socket.SHUT_WR)
        while not (rounds := int(exchange(server, b"get z\n"))):
            pass
        answers = received(client, 1 << 30).decode()
    exchange(server, "".join(f"drop {name}\n" for name in [*names, "z"]).encode())
    assert rounds * 9 * len(page) < 8 << 20  # what the kernel takes of them, and a little more
    assert answers == "".join(f"{count}\n" + f"{page}z {count}\n.\n" * 9 for count in range(1, 1001))


# --- http_files.py ---


def test_files_and_what_is_added_to_them(core, examples):
    server = examples["http_files.py"]
    assert fetch(server, "/README.md")[2] == (EXAMPLES / "README.md").read_bytes()
    assert "\r\nLocation: /README.md\r\n" in fetch(server, "/?x=y")[1]
    before, after = (json.loads(fetch(server, path)[2]) for path in ("/status", "/status?x=y"))
    assert after["core"] == core.backend
    assert after["requests"] == before["requests"] + 1
    status, head, body = fetch(server, "/status", "HEAD")
    assert (status, body) == (200, b"")
    assert "\r\nContent-Type: application/json\r\n" in head
    assert fetch(server, "/none")[0] == 404
    assert fetch(server, "/status", "DELETE")[0] == 405
    assert fetch(server, "/../pyproject.toml")[0] in (400, 404)


def test_another_directory(core, tmp_path):
    (tmp_path / "a b.txt").write_text("hello")
    with running_example(core, "http_files.py", str(tmp_path), "--start", "a b.txt") as process:
        assert "\r\nLocation: /a%20b.txt\r\n" in fetch(process, "/")[1]
        assert fetch(process, "/a%20b.txt")[2] == b"hello"


# --- asyncio_app.py ---


def test_jobs_in_a_thread(examples):
    with connected(examples["asyncio_app.py"]) as slow:
        slow.sendall(b"hash x\n")
        answers = exchange(examples["asyncio_app.py"], b"what\nhash\n\necho  a b \necho \xff\necho end")
        error = b"error: it is echo TEXT or hash TEXT"
        assert answers.split(b"\n") == [error, error, error, b"a b", b"\xff", b"end", b""]
        digest = hashlib.pbkdf2_hmac("sha256", b"x", b"salt", 100_000).hex()
        assert received(slow, 65) == f"{digest}\n".encode()


def test_it_ends_while_its_clients_want_something(core):
    """One is waited for, one does not take its answers."""
    with ExitStack() as leaving, running_example(core, "asyncio_app.py") as process:
        waiting, full = (leaving.enter_context(connected(process)) for _ in range(2))
        waiting.sendall(b"hash x\n")
        fill(full, b"echo %b\n" % (b"x" * 60_000))


def test_a_line_without_an_end_is_given_up(examples):
    with connected(examples["asyncio_app.py"]) as client, pytest.raises(ConnectionError):
        while True:
            client.sendall(b"x" * 10_000)


def test_clients_of_its_own(core):
    """The same program on both loops."""
    for loop, on in {"cyreactor": f"{core.backend} core", "asyncio": "asyncio"}.items():
        code, told, complaint = run(core, "asyncio_app.py", "--port", "0", "--clients", "2", "--loop", loop)
        assert (code, complaint) == (0, "")
        assert re.fullmatch(rf"serving on 127\.0\.0\.1:\d+, {on}\n1000 answers in [\d.]+ s, {on}\n", told)


# --- custom_framer.py ---


def test_records(examples):
    wire = record(1, b"hello") + record(1) + record(7) + record(1, b"x" * 65536)
    answer = record(1, b"hello") + record(1) + record(255) + record(1, b"x" * 65536)
    assert exchange(examples["custom_framer.py"], wire) == answer


def test_a_record_in_pieces():
    framer = runpy.run_path(str(EXAMPLES / "custom_framer.py"))["RecordFramer"]()
    *wire, last = record(3, b"abc") * 2
    for byte in wire[:11]:
        framer.feed(bytes([byte]))
        assert framer.next_message() is None
    framer.feed(bytes([*wire[11:], last]))
    assert [framer.next_message() for _ in range(3)] == [(3, b"abc"), (3, b"abc"), None]


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (record(1, b"hello", flaw=1), "a record with a wrong checksum"),
        (struct.pack("!BI", 1, 65537), "a record of 65537 bytes, more than 65536"),
    ],
)
def test_a_broken_record_ends_its_connection(examples, wire, why):
    server = examples["custom_framer.py"]
    assert exchange(server, record(1, b"a") + wire + record(1, b"b")) == record(1, b"a")
    assert said(server) == f"hung up on {why}\n"
    assert exchange(server, record(1, b"c")) == record(1, b"c")


def test_records_reads_no_faster_than_its_client(examples):
    with connected(examples["custom_framer.py"]) as client:
        sent = fill(client, record(1, b"x" * 1000))
        assert received(client, sent // 1009 * 1009) == record(1, b"x" * 1000) * (sent // 1009)


def test_the_client_of_records(core, examples):
    port = str(examples["custom_framer.py"].port)
    code, told, complaint = run(core, "custom_framer.py", "--port", port, "--send", "hello", "wörld")
    assert (code, complaint) == (0, "")
    assert re.fullmatch(r"hello\nwörld\n\w{3} \w{3} .*\n", told)
    stranger = str(examples["line_server.py"].port)  # which answers, but no records
    code, _, complaint = run(core, "custom_framer.py", "--port", stranger, "--send", "hello\n")
    assert code == 1
    assert in_one_sentence("custom_framer.py", complaint)
