"""serve(): its end waits for what is queued, and for nothing that will not come."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest
from streams_kit import Recorder


class Deaf(Recorder):
    """Reads nothing."""

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.pause_reading()


class HalfOpen(Recorder):
    def eof_received(self):
        super().eof_received()
        return True


def client_then_signal(server, clients, made, ready):
    """From a thread, as a client would: connect, see that the server knows it, then end the server."""
    client = socket.create_connection(server.sockets[0].getsockname(), timeout=20)
    clients.append(client)
    client.sendall(b"x")
    client.shutdown(socket.SHUT_WR)
    ready.wait(20)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("protocol", [Deaf, HalfOpen])
def test_a_connection_that_waits_for_nothing_is_closed_by_the_shutdown(core, protocol):
    """It is in no set of the kernel's, so only the loop's own books know it. Else the grace runs out."""
    made, clients, ready = [], [], threading.Event()

    class Seen(protocol):
        def connection_made(self, transport):
            made.append(self)
            super().connection_made(transport)
            if protocol is Deaf:
                ready.set()

        def eof_received(self):
            ready.set()
            return super().eof_received()

    thread = None

    def start(server):
        nonlocal thread
        thread = threading.Thread(target=client_then_signal, args=(server, clients, made, ready))
        thread.start()

    core.serve(Seen, "127.0.0.1", 0, grace=1e9, ready=start)
    thread.join()
    assert made[0].calls[-1] == "lost"
    assert made[0].lost.result() is None
    clients[0].close()


def test_the_handlers_of_before_are_back_afterwards(core):
    former = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        mine = signal.getsignal(signal.SIGTERM)
        core.serve(Recorder, "127.0.0.1", 0, ready=lambda server: os.kill(os.getpid(), signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, former)


def test_whoever_takes_nothing_is_aborted_after_the_grace(core):
    made, clients = [], []

    class Stuck(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)
            transport.write(bytes(50_000_000))
            os.kill(os.getpid(), signal.SIGTERM)

    def connect(server):
        clients.append(socket.create_connection(server.sockets[0].getsockname()))

    core.serve(Stuck, "127.0.0.1", 0, grace=0.05, ready=connect)
    assert made[0].calls == ["made", "pause", "lost"]
    clients[0].close()


def test_what_ready_raises_ends_it_and_closes_the_server(core):
    servers = []

    def fail(server):
        servers.append(server)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        core.serve(Recorder, "127.0.0.1", 0, ready=fail)
    assert servers[0].sockets == ()


@pytest.mark.parametrize("reuse_port", [True, False])
def test_several_processes_may_share_a_port(core, reuse_port):
    shared = []

    def listen_too(server):
        try:
            socket.create_server(server.sockets[0].getsockname(), reuse_port=True).close()
            shared.append(True)
        except OSError:
            shared.append(False)
        os.kill(os.getpid(), signal.SIGTERM)

    core.serve(Recorder, "127.0.0.1", 0, reuse_port=reuse_port, ready=listen_too)
    assert shared == [reuse_port]


def test_outside_of_the_main_thread_it_says_why_not(core):
    refused = []

    def serve():
        try:
            core.serve(Recorder, "127.0.0.1", 0)
        except RuntimeError as exc:
            refused.append(str(exc))

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert "main thread" in refused[0]
