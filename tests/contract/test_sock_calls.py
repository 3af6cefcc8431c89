"""The sock_ calls: nothing lost, nothing left behind, and strangers to nobody's add_reader."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from streams_kit import narrow_pair, until


@pytest.fixture
def sockets():
    pair = narrow_pair()
    for sock in pair:
        sock.setblocking(False)
    yield pair
    for sock in pair:
        sock.close()


def waiting(loop, call):
    """A task that got as far as it can for now."""
    task = loop.create_task(call)
    return task, asyncio.sleep(0)


def test_a_conversation(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        for i in range(50):
            receiving = loop.create_task(loop.sock_recv(b, 100))
            await asyncio.sleep(0)
            await loop.sock_sendall(a, b"%d" % i)
            assert await receiving == b"%d" % i

    drive(scenario)


def test_what_was_left_by_a_short_read_is_found(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        task, started = waiting(loop, loop.sock_recv(b, 100))
        await started
        a.send(b"first")
        assert await task == b"first"
        a.send(b"second")
        assert await loop.sock_recv(b, 3) == b"sec"
        assert await loop.sock_recv(b, 100) == b"ond"

    drive(scenario)


def test_the_end_that_came_with_the_last_bytes_is_found(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        task, started = waiting(loop, loop.sock_recv(b, 100))
        await started
        a.send(b"last")
        a.shutdown(socket.SHUT_WR)
        assert await task == b"last"
        assert await loop.sock_recv(b, 100) == b""
        assert await loop.sock_recv(b, 100) == b""

    drive(scenario)


def test_a_cancelled_read_takes_no_bytes(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        for i in range(20):
            task, started = waiting(loop, loop.sock_recv(b, 100))
            await started
            a.send(b"%d" % i)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await loop.sock_recv(b, 100) == b"%d" % i

    drive(scenario)


def test_two_readers_of_one_socket_both_get_on(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        tasks = [loop.create_task(loop.sock_recv(b, 1)) for _ in range(2)]
        await asyncio.sleep(0)
        a.send(b"xy")
        assert sorted(await asyncio.gather(*tasks)) == [b"x", b"y"]

    drive(scenario)


def test_a_write_waits_for_room(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        data = os.urandom(300_000)
        sending = loop.create_task(loop.sock_sendall(a, data))
        got = b""
        while len(got) < len(data):
            got += await loop.sock_recv(b, 65536)
        await sending
        assert got == data

    drive(scenario)


def test_what_was_given_may_be_resized_afterwards(drive, sockets):
    """A bytearray cannot change its size while somebody holds a view of it."""

    async def scenario(loop):
        a, b = sockets
        sent, filled = bytearray(os.urandom(300_000)), bytearray(65536)
        sending = loop.create_task(loop.sock_sendall(a, sent))
        got = bytearray()
        while len(got) < 300_000:
            got += filled[: await loop.sock_recv_into(b, filled)]
            filled.append(0)
        await sending
        assert got == sent
        sent.clear()
        task, started = waiting(loop, loop.sock_sendall(a, got))
        await started
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        got.clear()

    drive(scenario)


def test_it_lives_beside_add_reader_on_the_same_socket(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        seen = []
        loop.add_reader(a, lambda: seen.append(a.recv(100)))
        data = bytes(300_000)
        sending = loop.create_task(loop.sock_sendall(a, data))
        await asyncio.sleep(0)
        b.send(b"meanwhile")
        got = 0
        while got < len(data):
            got += len(await loop.sock_recv(b, 65536))
        await sending
        assert seen == [b"meanwhile"]
        assert loop.remove_reader(a)
        task, started = waiting(loop, loop.sock_recv(a, 100))
        await started
        b.send(b"again")
        assert await task == b"again"

    drive(scenario)


def test_a_reused_number_is_another_socket(drive):
    async def scenario(loop):
        for i in range(5):
            a, b = socket.socketpair()
            for sock in (a, b):
                sock.setblocking(False)
            task, started = waiting(loop, loop.sock_recv(b, 10))
            await started
            a.send(b"%d" % i)
            assert await task == b"%d" % i
            a.close()
            b.close()

    drive(scenario)


def test_connect_accept_and_a_refusal(drive):
    async def scenario(loop):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(listener))
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, listener.getsockname())
                connection, address = await accepting
                assert address == client.getsockname()
                assert connection.gettimeout() == 0
                connection.close()
            nobody = listener.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, nobody)

    drive(scenario)


def test_datagrams_by_hand(drive):
    async def scenario(loop):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b,
        ):
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            task, started = waiting(loop, loop.sock_recvfrom(b, 100))
            await started
            assert await loop.sock_sendto(a, b"x", b.getsockname()) == 1
            assert await task == (b"x", a.getsockname())
            buffer = bytearray(10)
            await loop.sock_sendto(a, b"yz", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer) == (2, a.getsockname())

    drive(scenario)


def test_the_socket_of_a_transport_is_not_for_taking(drive, sockets):
    async def scenario(loop):
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sockets[0].dup())
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_recv(transport.get_extra_info("socket")._sock, 10)
        transport.abort()

    drive(scenario)


def test_a_blocking_socket_is_refused_in_debug_mode(drive, sockets):
    async def scenario(loop):
        loop.set_debug(True)
        sockets[0].setblocking(True)
        with pytest.raises(ValueError, match="must be non-blocking"):
            await loop.sock_recv(sockets[0], 10)

    drive(scenario)


def test_a_read_that_ends_early_for_another_reason_is_not_taken_for_the_last(drive, sockets):
    """Descriptors that are passed end a read, and so does TCP's urgent mark."""

    async def scenario(loop):
        a, b = sockets
        task, started = waiting(loop, loop.sock_recv(b, 100))
        await started
        a.send(b"first")
        await task
        socket.send_fds(a, [b"with"], [a.fileno()])
        a.send(b"without")
        got = b""
        while len(got) < 11:
            got += await loop.sock_recv(b, 100)
        assert got == b"withwithout"

    drive(scenario)


def test_an_urgent_mark_is_not_the_end_of_what_came(drive):
    async def scenario(loop):
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.connect(server.getsockname())
            peer, _ = server.accept()
            client.setblocking(False)
            task, started = waiting(loop, loop.sock_recv(client, 100))
            await started
            peer.send(b"first")
            await task
            peer.send(b"abc")
            peer.send(b"!", socket.MSG_OOB)
            peer.send(b"def")
            got = b""
            while len(got) < 6:
                got += await loop.sock_recv(client, 100)
            assert got == b"abcdef"
            peer.close()

    drive(scenario)


class Loud(socket.socket):
    """A socket whose class has calls of its own."""

    def recv(self, *args):
        return super().recv(*args).upper()

    def send(self, data, *args):
        return super().send(bytes(data).upper(), *args)


def test_a_class_s_own_calls_are_the_ones_that_are_called(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        with Loud(fileno=os.dup(b.fileno())) as loud:
            loud.setblocking(False)
            await loop.sock_sendall(a, b"here")
            assert await loop.sock_recv(loud, 100) == b"HERE"
            await loop.sock_sendall(loud, b"there")
            assert await loop.sock_recv(a, 100) == b"THERE"

    drive(scenario)


def test_a_wrong_argument_is_refused(drive, sockets):
    async def scenario(loop):
        a, _ = sockets
        with pytest.raises(ValueError, match="negative"):
            await loop.sock_recv(a, -1)
        with pytest.raises(TypeError):
            await loop.sock_recv(a, "many")
        with pytest.raises(TypeError):
            await loop.sock_sendall(a, "text")
        with pytest.raises((OverflowError, MemoryError)):
            await loop.sock_recv(a, 1 << 64)

    drive(scenario)


def test_a_call_on_a_socket_that_is_closed(drive):
    async def scenario(loop):
        sock = socket.socket()
        sock.setblocking(False)
        sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_recv(sock, 100)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_sendall(sock, b"data")

    drive(scenario)


def test_a_reset_is_an_error_of_the_call(drive, sockets):
    async def scenario(loop):
        a, b = socket.socketpair()
        a.setblocking(False)
        b.setblocking(False)
        with a, b:
            b.send(b"unread")
            await loop.sock_sendall(a, b"unread")
            b.close()
            with pytest.raises(ConnectionError):
                while await loop.sock_recv(a, 3):
                    pass
            with pytest.raises(ConnectionError):
                await loop.sock_sendall(a, b"data")

    drive(scenario)


def test_it_is_a_coroutine_like_any_other(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        calls = loop.sock_recv(b, 100), loop.sock_sendall(a, b"data")
        assert all(asyncio.iscoroutine(call) for call in calls)
        assert await asyncio.gather(*calls) == [b"data", None]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(b, 100), 0.001)

    drive(scenario)


def test_nothing_asked_for_is_nothing_got(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        task, started = waiting(loop, loop.sock_recv(b, 100))
        await started
        a.send(b"x")
        assert await task == b"x"
        assert await loop.sock_recv(b, 0) == b""
        assert await loop.sock_recv_into(b, bytearray()) == 0

    drive(scenario)


def test_an_interrupt_in_a_neighbour_s_callback_loses_no_wake_up(core):
    """epoll tells an edge once: the rest of the batch must survive the exception."""
    reactor = core.Reactor()
    pairs = [narrow_pair() for _ in range(3)]
    for pair in pairs:
        for sock in pair:
            sock.setblocking(False)

    def interrupt(sock):
        sock.recv(10)
        raise KeyboardInterrupt

    tasks = [reactor.create_task(reactor.sock_recv(ours, 10)) for ours, _ in pairs[1:]]
    reactor.run_until_complete(asyncio.sleep(0))
    reactor.add_reader(pairs[0][0], interrupt, pairs[0][0])
    for _, peer in pairs:
        peer.send(b"x")
    with pytest.raises(KeyboardInterrupt):
        reactor.run()
    assert reactor.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks), 5)) == [b"x", b"x"]
    reactor.remove_reader(pairs[0][0])
    reactor.close()
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_a_socket_closed_by_its_reader_s_callback_costs_nobody_else(drive, sockets):
    async def scenario(loop):
        a, b = sockets
        closed = []
        loop.add_reader(a, lambda: (loop.remove_reader(a), a.close(), closed.append(True)))
        sending = loop.create_task(loop.sock_sendall(a, bytes(300_000)))
        await asyncio.sleep(0)
        b.send(b"x")
        await until(lambda: closed)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    drive(scenario)


def test_a_unix_server_with_a_full_backlog_is_waited_for(drive, tmp_path):
    async def scenario(loop):
        path = str(tmp_path / "busy")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(1)  # PyPy's least; the kernel takes one more
            first = [socket.socket(socket.AF_UNIX) for _ in range(2)]
            for sock in first:
                sock.connect(path)
            last = socket.socket(socket.AF_UNIX)
            last.setblocking(False)
            connecting = loop.create_task(loop.sock_connect(last, path))
            await asyncio.sleep(0.03)
            assert not connecting.done()
            accepted = [server.accept()[0]]
            await connecting
            assert last.getpeername() == path
            for sock in (*first, last, *accepted):
                sock.close()

    drive(scenario)
