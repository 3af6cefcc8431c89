"""The example of a Redis, by plain sockets: what it answers, in both versions, in any mixture."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest
from command_line import running_example


@pytest.fixture(scope="module")
def port(core):
    with running_example(core, "kv_server.py") as server:
        yield server.port


class Client:
    """Sends commands, reads replies with the core's own parser."""

    def __init__(self, core, port):
        self.resp = core.resp
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.parser = core.resp.ReplyParser()

    def __call__(self, *words):
        self.sock.sendall(self.resp.encode_command(*words))
        return self.replies(1)[0]

    def replies(self, count):
        found = []
        while len(found) < count:
            data = self.sock.recv(1 << 20)
            assert data, "the server hung up"
            self.parser.feed(data)
            found += self.parser
        return found

    def rest(self):
        """Everything up to the end of the stream."""
        data = b""
        while piece := self.sock.recv(1 << 20):
            data += piece
        return data


@pytest.fixture
def client(core, port):
    client = Client(core, port)
    with closing(client.sock):
        client("FLUSHALL")
        yield client


def error(client, *words):
    reply = client(*words)
    assert isinstance(reply, client.resp.ReplyError)
    return str(reply)


def test_strings(client):
    assert client("SET", "a", "1") == "OK"
    assert client("get", "a") == b"1"
    assert client("GET", "b") is None
    assert client("APPEND", "a", "23") == 3
    assert client("STRLEN", "a") == 3
    assert client("MSET", "b", "2", "c", b"\r\n") == "OK"
    assert client("MGET", "a", "none", "c") == [b"123", None, b"\r\n"]
    assert client("EXISTS", "a", "a", "none") == 2
    assert client("TYPE", "a"), client("TYPE", "none") == ("string", "none")
    assert sorted(client("KEYS", "[ab]")) == [b"a", b"b"]
    assert client("DBSIZE") == 3
    assert client("DEL", "a", "none", "b") == 2


def test_counters(client):
    assert [client("INCR", "n"), client("INCRBY", "n", 10), client("DECR", "n")] == [1, 11, 10]
    assert client("GET", "n") == b"10"
    client("SET", "n", (1 << 63) - 1)
    assert "not an integer or out of range" in error(client, "INCR", "n")
    assert client("GET", "n") == b"9223372036854775807"
    for word in ("x", "1.0", "", " 1", "1_0", "٣"):
        client("SET", "n", word)
        assert "not an integer" in error(client, "INCR", "n")


def test_conditions(client):
    assert client("SET", "a", 1, "XX") is None
    assert client("SET", "a", 1, "NX") == "OK"
    assert client("SET", "a", 2, "nx", "get") == b"1"
    assert client("SET", "a", 3, "XX", "GET") == b"1"
    assert client("GET", "a") == b"3"
    for options in (["NX", "XX"], ["EX"], ["EX", "x"], ["EX", "0"], ["PX", "-1"], ["WHAT"]):
        assert error(client, "SET", "a", 4, *options).startswith("ERR ")
    assert client("GET", "a") == b"3"


def test_expiry(client):
    client("SET", "a", 1, "EX", 100)
    assert client("TTL", "a") in (99, 100)
    client("SET", "a", 2, "KEEPTTL")
    assert 90_000 < client("PTTL", "a") <= 100_000
    assert client("PERSIST", "a") == 1
    assert client("PERSIST", "a") == 0
    assert client("TTL", "a") == -1
    assert client("TTL", "none") == client("PTTL", "none") == -2
    assert client("EXPIRE", "a", 50) == 1
    assert client("EXPIRE", "none", 50) == 0
    client("SET", "a", 3)
    assert client("TTL", "a") == -1
    assert client("PEXPIRE", "a", 20) == 1
    client("SET", "forgotten", 1, "PX", 20)
    time.sleep(0.05)
    assert client("GET", "a") is None
    deadline = time.monotonic() + 20
    while client("DBSIZE") and time.monotonic() < deadline:  # nobody asks for the forgotten one
        time.sleep(0.05)
    assert client("DBSIZE") == 0


def test_the_third_version(client):
    about = client("HELLO", 3)
    assert (about[b"server"], about[b"proto"]) == (b"cyreactor", 3)
    assert client("CONFIG", "GET", "save") == {b"save": b""}
    assert client("HELLO", 2)[6:8] == [b"proto", 2]
    assert client("CONFIG", "GET", "*max*") == [b"maxmemory", b"0"]
    assert error(client, "HELLO", 4).startswith("NOPROTO")


def test_the_version_changes_in_the_middle_of_a_pipeline(core, client):
    commands = [["GET", "a"], ["HELLO", "3"], ["GET", "a"], ["HELLO", "2"], ["GET", "a"], ["QUIT"], ["PING"]]
    client.sock.sendall(core.resp.encode_commands(commands))
    wire = client.rest()
    assert wire.startswith(b"$-1\r\n%6\r\n")
    assert wire.endswith(b"$-1\r\n+OK\r\n")  # and no PONG
    assert b"\r\n_\r\n*12\r\n" in wire


def test_the_connection(client):
    assert client("PING") == "PONG"
    assert client("PING", "text") == client("ECHO", "text") == b"text"
    assert client("CLIENT", "SETNAME", "me") == "OK"
    assert client("CLIENT", "GETNAME") == b"me"
    assert client("CLIENT", "ID") > 0
    assert client("SELECT", 0) == "OK"
    assert client("COMMAND") == []
    assert b"redis_version" in client("INFO")
    assert error(client, "SELECT", 1) == "ERR DB index is out of range"
    assert error(client, "WHAT") == "ERR unknown command"
    assert error(client, "GET") == "ERR wrong number of arguments for 'get' command"
    assert error(client, "PEXPIRE", "a", 1, 2) == "ERR wrong number of arguments for 'pexpire' command"


def test_words_that_somebody_types(client):
    client.sock.sendall(b'SET a "x \\"y\\""\r\n\r\nget a\nPING\r\n')
    assert client.replies(3) == ["OK", b'x "y"', "PONG"]


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        (b"*1\r\n$-5\r\n", b"invalid bulk length"),
        (b"*1000000000\r\n", b"invalid multibulk length"),
        (b"*1\r\n:1\r\n", b"expected '$', got ':'"),
        (b'get "a\r\n', b"unbalanced quotes in request"),
    ],
)
def test_what_is_no_command_is_answered_and_ends_the_connection(client, wire, complaint):
    client.sock.sendall(b"PING\r\n" + wire + b"PING\r\n")
    assert client.rest() == b"+PONG\r\n-ERR Protocol error: " + complaint + b"\r\n"


def test_a_thousand_commands_in_one_piece(client):
    client.sock.sendall(client.resp.encode_commands([["INCR", "n"]] * 1000))
    assert client.replies(1000) == list(range(1, 1001))


def test_large_values(client):
    value = bytes(range(256)) * 40_000
    assert client("SET", "large", value) == "OK"
    assert client("GET", "large") == value


def test_who_does_not_read_is_not_served_without_end(client):
    """Replies pile up, so commands do too, until the kernel takes no more of them."""
    client("SET", "large", b"x" * 500_000)
    client.sock.setblocking(False)
    commands = client.resp.encode_commands([["GET", "large"]] * 100)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += client.sock.send(commands)
            if sent > 64 << 20:
                pytest.fail("it takes commands for ever")
    client.sock.setblocking(True)
