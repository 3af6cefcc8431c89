"""One request, by hand, before anything is measured: does the server answer, and rightly?"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

from .processes import PeerError
from .workloads import Workload

# Seconds: for an answer to come, and of silence after which one of unknown size is complete.
PATIENCE = 5.0
QUIET = 0.3
RECEIVE = 256 * 1024


def answer_size(port: int, workload: Workload) -> int:
    """Bytes of the answer to one request, or datagrams; raises PeerError where it is not the right one."""
    if workload.kind == "datagram":
        ask_datagram(port, workload)
        return workload.burst
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
            if not workload.tls:
                return check(plain, workload)
            with client_context().wrap_socket(plain) as encrypted:
                return check(encrypted, workload)
    except TimeoutError:
        raise PeerError("timed out", f"no answer within {PATIENCE:.0f} seconds") from None
    except OSError as exc:
        raise PeerError("failed", f"the first connection: {exc}") from None


def check(sock: socket.socket, workload: Workload) -> int:
    request, expected = workload.request or b"x", workload.answer
    send(sock, request)
    if workload.kind == "memory":
        return len(sock.recv(1))
    if expected is not None:
        if receive(sock, lambda data: len(data) >= len(expected)) != expected:
            raise PeerError("wrong answer", "the answer is not the one that was expected")
        return len(expected)
    if workload.ending:
        return len(receive(sock, lambda data: data.endswith(workload.ending)))
    return settle(sock, request)


def send(sock: socket.socket, request: bytes) -> None:
    """One that is too large for the kernel to keep goes beside the answer, which may begin before its end."""
    if len(request) <= 64 * 1024:
        sock.sendall(request)
    else:
        threading.Thread(target=_send_quietly, args=(sock, request), daemon=True).start()


def _send_quietly(sock: socket.socket, request: bytes) -> None:
    try:
        sock.sendall(request)
    except OSError:  # whoever waits for the answer says it
        pass


def receive(sock: socket.socket, complete: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not complete(data):
        piece = sock.recv(RECEIVE)
        if not piece:
            raise PeerError("no answer", f"the server closed the connection after {len(data):,} bytes")
        data += piece
    return data


def settle(sock: socket.socket, request: bytes) -> int:
    """The size of answers that nobody described: twice the same, or they cannot be counted."""
    first = receive_all(sock)
    sock.settimeout(PATIENCE)
    send(sock, request)
    second = receive_all(sock)
    if first != second:
        reason = f"the answers to the same request differ: {first:,} and {second:,} bytes"
        raise PeerError("uneven", reason)
    return first


def receive_all(sock: socket.socket) -> int:
    size = len(receive(sock, bool))
    sock.settimeout(QUIET)
    end = time.monotonic() + PATIENCE
    try:
        while True:
            if time.monotonic() > end:
                raise PeerError("endless", f"the answer has no end within {PATIENCE:.0f} seconds")
            piece = sock.recv(RECEIVE)
            if not piece:
                raise PeerError("closes", "the server closes the connection after its answer")
            size += len(piece)
    except TimeoutError:
        return size


def ask_datagram(port: int, workload: Workload) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(workload.request)
            if sock.recv(RECEIVE) != workload.request:
                raise PeerError("wrong answer", "the datagram that came back is another one")
        except TimeoutError:
            raise PeerError("timed out", f"no datagram within {PATIENCE:.0f} seconds") from None
        except OSError as exc:
            raise PeerError("failed", f"the first datagram: {exc}") from None


def client_context() -> ssl.SSLContext:
    """Trusts anybody: the other side is this machine, and its certificate is no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
