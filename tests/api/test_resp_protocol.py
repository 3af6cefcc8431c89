"""RESPProtocol on the reactor and on asyncio's own loop: both sides of a connection."""

from __future__ import annotations

import asyncio
import socket

import pytest
from streams_kit import until


def sides(core):
    """A server that answers with what is in ``answers``, and a client; both write down what comes."""

    class Side(core.resp.RESPProtocol):
        def __init__(self):
            self.messages = []
            self.lost = asyncio.get_running_loop().create_future()

        def message_received(self, message):
            self.messages.append(message)

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    class Server(Side):
        def message_received(self, message):
            super().message_received(message)
            self.send_message(self.answers.pop(0))

    class Client(Side):
        client = True

    return Server, Client


async def connected(server, client):
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, server = await loop.create_connection(server, sock=ours)
    _, client = await loop.create_connection(client, sock=theirs)
    return server, client


def test_commands_and_replies(core, play):
    async def scenario():
        server, client = await connected(*sides(core))
        server.answers = [None, "OK", [1, b"x" * 100_000], b"y" * 100_000, core.resp.ReplyError("ERR no")]
        expected = list(server.answers)
        client.send_message(["GET", b"key"])
        client.send_messages([["A"], ["B"], ["C"], ["D"]])
        await until(lambda: len(client.messages) == 5)
        assert client.messages == expected
        assert server.messages == [[b"GET", b"key"], [b"A"], [b"B"], [b"C"], [b"D"]]
        client.transport.close()
        assert await server.lost is None

    play(scenario)


def test_batches(core, play):
    server_class, client_class = sides(core)

    class Server(server_class):
        def messages_received(self, messages):
            self.messages.append(len(messages))
            self.send_messages([len(words) for words in messages])

    async def scenario():
        server, client = await connected(Server, client_class)
        client.send_messages([["A"], ["B", 1], ["C"]])
        await until(lambda: len(client.messages) == 3)
        assert (server.messages, client.messages) == ([3], [1, 2, 1])
        client.transport.close()
        await server.lost

    play(scenario)


def test_the_version_of_replies(core, play):
    async def scenario():
        server, client = await connected(*sides(core))
        server.framer.version = 3
        server.answers = [{b"a": 1.5}, core.resp.Push(["x"]), True]
        client.send_messages([["A"], ["B"], ["C"]])
        await until(lambda: len(client.messages) == 3)
        assert client.messages == [{b"a": 1.5}, ["x"], True]
        assert type(client.messages[1]) is core.resp.Push
        client.transport.close()
        await server.lost

    play(scenario)


def test_the_peer_is_told_what_was_wrong_with_its_command(core, play):
    async def scenario():
        server, client = await connected(*sides(core))
        server.answers = ["OK"]
        client.transport.write(b"PING\r\n*1\r\n$-7\r\nPING\r\n")
        assert await client.lost is None
        assert client.messages == ["OK", core.resp.ReplyError("ERR Protocol error: invalid bulk length")]
        exc = await server.lost
        assert exc is None or str(exc) == "Protocol error: invalid bulk length"

    play(scenario)


def test_a_client_ends_with_what_is_no_reply(core, play):
    async def scenario():
        server, client = await connected(*sides(core))
        server.transport.write(b"+OK\r\n?\r\n")
        exc = await client.lost
        assert client.messages == ["OK"]
        assert isinstance(exc, core.resp.RESPError) or exc is None
        assert await server.lost is None
        assert server.messages == []  # it got no error for an answer

    play(scenario)


def test_a_command_is_no_string(core, play):
    async def scenario():
        server, client = await connected(*sides(core))
        with pytest.raises(TypeError, match="list or tuple"):
            client.send_message("PING")
        client.transport.close()
        await server.lost

    play(scenario)
