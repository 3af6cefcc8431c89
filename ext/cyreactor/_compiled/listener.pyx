# cython: nonecheck=True
"""Accepts connections and starts them at once: no Python object but the transport and the protocol.

Out of descriptors or memory, the kernel would report the waiting connection for ever. The listener
then leaves the epoll set for a while, says so once, and lets the clients wait in the kernel's queue.
"""

from asyncio import trsock

from libc.errno cimport (
    EAGAIN,
    ECONNABORTED,
    EINTR,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    errno,
)
from libc.stdint cimport uint32_t

from .connection cimport Connection
from .poller cimport Watcher
from .syscalls cimport *

import os

from cyreactor import limits

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    object PyContext_CopyCurrent()


cdef class Listener(Watcher):
    """Accepts on one listening socket."""

    def __init__(self, loop, sock, factory, transport_class, server, backlog, name):
        self._loop = loop
        self.poller = loop._poller
        self.sock = sock
        self.fd = sock.fileno()
        self.context = PyContext_CopyCurrent()
        self.factory = factory
        self.transport_class = transport_class
        self.server = server
        self.name = name
        self.batch = max(1, min(backlog, limits.ACCEPTS_PER_WAKEUP))

    def start(self):
        """Accept from now on."""
        self.retry = None
        self.poller.watch(self, EPOLLIN)

    def stop(self):
        """Accept no more; the socket stays open."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
        self.poller.unwatch(self)

    cdef int on_ready(self, uint32_t events) except -1:
        PyContext_Enter(self.context)
        try:
            self.accept()
        finally:
            PyContext_Exit(self.context)
        return 0

    cdef int accept(self) except -1:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, _
        for _ in range(self.batch):
            size = sizeof(address)
            fd = accept4(self.fd, <sockaddr*> &address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self.accepted(fd, &address, size)
                if not self.watched:
                    return 0
            elif errno == EAGAIN:
                return 0
            elif errno != EINTR and errno != ECONNABORTED:
                return self.refused(errno)
        return 0

    cdef int accepted(self, int fd, const void* address, unsigned int size) except -1:
        cdef Connection connection
        try:
            connection = self.transport_class(self._loop, fd, self.factory(), self.server)
        except BaseException as exc:
            close(fd)
            if isinstance(exc, (SystemExit, KeyboardInterrupt)):
                raise
            self._loop.call_exception_handler(
                {"message": "Error on transport creation for incoming connection", "exception": exc}
            )
            return 0
        connection.set_names(self.name, address, size)
        return connection.begin()

    cdef int refused(self, int error) except -1:
        exc = OSError(error, os.strerror(error))
        exhausted = error in (EMFILE, ENFILE, ENOBUFS, ENOMEM)
        message = "socket.accept() out of system resource" if exhausted else "socket.accept() failed"
        self.poller.unwatch(self)
        self.retry = self._loop.call_later(limits.ACCEPT_RETRY_DELAY, self.start)
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "socket": trsock.TransportSocket(self.sock)}
        )
        return 0
