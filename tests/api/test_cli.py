"""The command line: what it serves, what it says, and how it ends."""

from __future__ import annotations

import re
import signal
import socket

import pytest
from command_line import client_of, command, port_of, serving
from cores import CORES

SHOUT = """
import cyreactor
class Shout(cyreactor.LineProtocol):
    def message_received(self, message):
        self.send_message(message.upper())
class Big(cyreactor.LineProtocol):
    def message_received(self, message):
        self.transport.write(b"x" * 20_000_000)
not_a_class = 7
"""
BIG = 20_000_000


def received(client, count):
    data = bytearray()
    while len(data) < count and (piece := client.recv(1 << 16)):
        data += piece
    return bytes(data)


@pytest.mark.parametrize(("protocol", "sent", "answer"), [
    ("echo", b"\0\1\2", b"\0\1\2"), ("lines", b"a\r\nb\n", b"a\nb\n"),
])  # fmt: skip
def test_it_serves_what_is_built_in_and_says_where(core, protocol, sent, answer):
    with serving(core, protocol, "--port", "0") as server:
        ready = rf"cyreactor [\d.]+ \({core.backend} core\): {protocol} on 127\.0\.0\.1:\d+\n"
        assert re.fullmatch(ready, server.ready)
        with client_of(server) as client:
            client.sendall(sent)
            assert received(client, len(answer)) == answer
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=20) == ("", "")
        assert server.returncode == 0


def fetch(server, target="/"):
    """The status line and the body of an answer."""
    with client_of(server) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = received(client, 1 << 20).partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), body.decode()


@pytest.mark.parametrize("arguments", [[], ["."], ["../site"]])
def test_it_serves_a_directory_over_http_and_says_where(core, tmp_path, arguments):
    site = tmp_path / "site"
    site.mkdir()
    (site / "page.txt").write_text("hello")
    (site / ".hidden").write_text("hidden")
    with serving(core, *arguments, "--port", "0", cwd=site) as server:
        ready = rf"serving {re.escape(str(site))} on http://127\.0\.0\.1:\d+/ \({core.backend} core\)\n"
        assert re.fullmatch(ready, server.ready)
        assert fetch(server, "/page.txt") == ("HTTP/1.1 200 OK", "hello")
        assert '<a href="page.txt">' in fetch(server)[1]
        assert fetch(server, "/.hidden")[0] == "HTTP/1.1 404 Not Found"
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=20) == ("", "")
        assert server.returncode == 0


def test_dot_files_are_served_and_answers_told_of_where_that_is_asked_for(core, tmp_path):
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "big").write_bytes(bytes(100_000))
    with serving(core, str(tmp_path), "--port", "0", "--dot-files", "--log") as server:
        assert fetch(server, "/.hidden") == ("HTTP/1.1 200 OK", "hidden")
        assert len(fetch(server, "/big")[1]) == 100_000
        assert fetch(server, "/none")[0] == "HTTP/1.1 404 Not Found"
        with client_of(server) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert received(client, 1 << 20).startswith(b"HTTP/1.1 400 ")
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=20)
    line = re.compile(r'127\.0\.0\.1 - - \[[^]]+\] (".*" \d+ \S+)\n')
    assert line.sub("", log) == ""
    assert line.findall(log) == [
        '"GET /.hidden HTTP/1.1" 200 6',
        '"GET /big HTTP/1.1" 200 100000',
        '"GET /none HTTP/1.1" 404 14',
        '"-" 400 -',
    ]


def test_the_name_of_a_protocol_wins_and_a_path_is_a_path(core, tmp_path):
    (tmp_path / "echo").mkdir()
    (tmp_path / "a:b").mkdir()
    with serving(core, "echo", "--port", "0", cwd=tmp_path) as server:
        assert "echo on" in server.ready
    for path in ("./echo", "a:b"):
        with serving(core, path, "--port", "0", cwd=tmp_path) as server:
            assert server.ready.startswith(f"serving {tmp_path / path} on http://")


def test_a_directory_on_a_unix_socket(core, tmp_path):
    path = tmp_path / "socket"
    with serving(core, str(tmp_path), "--unix", str(path)) as server:
        assert server.ready == f"serving {tmp_path} on {path} ({core.backend} core)\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert received(client, 1 << 20).startswith(b"HTTP/1.1 200 OK\r\n")


def test_it_serves_a_class_of_the_user_s(core, tmp_path):
    (tmp_path / "mine.py").write_text(SHOUT)
    with serving(core, "mine:Shout", "--port", "0", cwd=tmp_path) as server, client_of(server) as client:
        assert "mine:Shout on" in server.ready
        client.sendall(b"hello\n")
        assert received(client, 6) == b"HELLO\n"


def test_it_serves_on_a_unix_socket_and_removes_it(core, tmp_path):
    path = tmp_path / "socket"
    with serving(core, "echo", "--unix", str(path)) as server:
        assert server.ready.endswith(f"echo on {path}\n")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"x")
            assert client.recv(10) == b"x"
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
    assert not path.exists()


@pytest.mark.parametrize("backend", CORES)
def test_the_core_can_be_chosen(backend):
    with serving(None, "echo", "--port", "0", "--backend", backend) as server:
        assert f"({backend} core)" in server.ready
        with client_of(server) as client:
            client.sendall(b"x")
            assert client.recv(10) == b"x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_everything_queued_has_left(core, tmp_path, number):
    """Far more waits in the server than the kernel holds, and the client begins to read after the signal."""
    (tmp_path / "mine.py").write_text(SHOUT)
    with serving(core, "mine:Big", "--port", "0", cwd=tmp_path) as server, client_of(server) as client:
        client.sendall(b"go\n")
        assert client.recv(1) == b"x"
        server.send_signal(number)
        assert received(client, 1 << 30) == b"x" * (BIG - 1)
        assert server.communicate(timeout=20) == ("", "")
        assert server.returncode == 0


def test_a_second_interrupt_ends_it_at_once_and_quietly(core):
    """The client takes nothing, so the shutdown would wait for it until its grace is over."""
    with serving(core, "echo", "--port", "0") as server, client_of(server) as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sendall(b"x" * 50_000_000)
        server.send_signal(signal.SIGINT)
        with socket.socket() as late:  # the first signal was obeyed once nobody is accepted any more
            while late.connect_ex(("127.0.0.1", port_of(server))) == 0:
                late.close()
                late = socket.socket()
            late.close()
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
        assert server.returncode != 0
        assert "Traceback" not in errors


@pytest.fixture
def occupied():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield str(sock.getsockname()[1])


BAD = {
    "a host that is none": (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
    "a port above all": (["--port", "99999"], "99999"),
    "a port below all": (["--port", "-1"], "-1"),
    "an empty path": (["--unix", ""], "empty"),
    "a path too long": (["--unix", "x" * 200], "too long"),
    "a folder that is not there": (["--unix", "/no/such/folder/socket"], "/no/such/folder"),
}


def complains(finished, about):
    """One line on stderr, no more."""
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("cyreactor: ")
    assert finished.stderr.count("\n") == 1
    assert about in finished.stderr


@pytest.mark.parametrize("what", BAD)
def test_an_address_that_cannot_be_had_is_one_line(core, what):
    options, about = BAD[what]
    complains(command(core, "serve", "echo", *options), about)


@pytest.mark.parametrize("what", ["echo", "."])
def test_a_port_in_use_is_one_line(core, occupied, what):
    complains(command(core, "serve", what, "--port", occupied), occupied)


MISSING = {
    "no_such_module:Protocol": "no_such_module",
    "raising:Protocol": "boom",
    "broken:Protocol": "SyntaxError",
    "mine:Missing": "Missing",
    "mine:not_a_class": "not a protocol class",
    "mine": "no directory 'mine'",
    "mine.py": "no directory 'mine.py'",
    "mine:": "package.module:ProtocolClass",
    ":Shout": "package.module:ProtocolClass",
    "mine:Shout.inner": "inner",
    "..mine:Shout": "mine",
}


@pytest.mark.parametrize("protocol", MISSING)
def test_a_protocol_that_cannot_be_had_is_one_line(core, tmp_path, protocol):
    (tmp_path / "mine.py").write_text(SHOUT)
    (tmp_path / "raising.py").write_text("raise ZeroDivisionError('boom')")
    (tmp_path / "broken.py").write_text("def (")
    complains(command(core, "serve", protocol, cwd=tmp_path), MISSING[protocol])


def test_info_names_the_core_and_what_it_waits_with(core):
    finished = command(core, "info")
    assert finished.returncode == 0
    facts = dict(line.split(None, 1) for line in finished.stdout.splitlines())
    assert facts["cyreactor"] == core.__version__
    assert facts["core"] == core.backend
    assert finished.stderr == ""


def test_version_names_the_core(core):
    finished = command(core, "--version")
    assert finished.returncode == 0
    assert finished.stdout == f"cyreactor {core.__version__} ({core.backend} core)\n"


@pytest.mark.parametrize(
    "line", ["", "dance", "serve echo lines", "serve echo --port many", "info --backend fast"]
)
def test_a_wrong_command_shows_the_usage(core, line):
    finished = command(core, *line.split())
    assert finished.returncode == 2
    assert finished.stderr.startswith("usage: cyreactor")
    assert "Traceback" not in finished.stderr


def test_main_may_be_called_by_a_program(core, capsys):
    assert core.cli.main(["info"]) == 0
    assert core.backend in capsys.readouterr().out
