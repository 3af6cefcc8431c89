"""The load generator's side of TLS connections, by the engine that the loop itself uses.

Only OpenSSL and the kernel cost more than a few instructions, so a server has to be as fast as both of them
to be kept waiting.
"""

import os
import socket
import ssl

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc

from .load cimport SCRATCH, Flow, StreamLoad
from .tls_engine cimport Engine

from .tls_direct import make

cdef double PATIENCE = 10.0              # seconds for each step of a handshake


cdef class TLSLoad(StreamLoad):
    """TLS connections, opened once; ``context`` is a client's ``ssl.SSLContext``. See ``StreamLoad``.

    ``run`` raises ``ssl.SSLError`` where a server breaks the protocol.
    """

    cdef list engines                    # one for each flow
    cdef list sealed                     # what leaves of each, which the flow points into
    cdef char* plain                     # where answers are decrypted to, to be counted only
    cdef object failure                  # what OpenSSL found wrong

    def __init__(self, int port, int count, bytes request, Py_ssize_t answer, context):
        super().__init__(port, count, request, answer)
        self.plain = <char*> PyMem_Malloc(SCRATCH)
        if self.plain == NULL:
            raise MemoryError
        self.engines = [shake_hands(self.flows[index].fd, context) for index in range(count)]
        self.sealed = [None] * count

    def __dealloc__(self):
        PyMem_Free(self.plain)

    def run(self, double seconds, double patience=5.0):
        try:
            return super().run(seconds, patience)
        except ConnectionError:
            if self.failure is None:
                raise
            raise self.failure from None

    cdef int seal(self, Flow* flow) noexcept with gil:
        cdef Engine engine = <Engine> self.engines[flow - self.flows]
        cdef bytes sealed
        try:
            if engine.encrypt(self.request, self.size) < self.size:
                raise ssl.SSLError("the server began another handshake")
            sealed = engine.drain() or b""
        except Exception as exc:
            return self.broken(exc)
        self.sealed[flow - self.flows] = sealed
        flow.next, flow.left = PyBytes_AS_STRING(sealed), PyBytes_GET_SIZE(sealed)
        return 0

    cdef Py_ssize_t unseal(self, Flow* flow, Py_ssize_t size) noexcept with gil:
        cdef Engine engine = <Engine> self.engines[flow - self.flows]
        cdef Py_ssize_t count = 0
        try:
            engine.feed(self.scratch, size)
            while not engine.dry:
                count += engine.decrypt(self.plain, SCRATCH)
            engine.keep()
        except Exception as exc:
            return self.broken(exc)
        return self.broken(engine.failure) if engine.failure is not None else count

    cdef int broken(self, object failure) noexcept:
        self.failure = failure
        return self.fail("TLS", 0)


cdef Engine shake_hands(int fd, object context):
    """The engine of a connection whose handshake is done."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    cdef Engine engine = make(tls, incoming, outgoing)
    with socket.socket(fileno=os.dup(fd)) as sock:
        sock.settimeout(PATIENCE)
        while not finished(tls, sock, outgoing):
            received = sock.recv(SCRATCH)
            if not received:
                raise ConnectionError("the server closed a connection")
            incoming.write(received)
    engine.begin()
    return engine


cdef bint finished(object tls, object sock, object outgoing) except -1:
    """Go on with the handshake, as far as what was received allows."""
    try:
        tls.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False
    finally:
        sock.sendall(outgoing.read())
