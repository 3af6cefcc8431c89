"""The ``sock_*`` calls that a conversation on a socket is made of, without a Python frame.

What is not as usual (another class than ``socket.socket``, a buffer that is not ``bytes``, debug mode)
takes the way of the other calls, see ``cyreactor.sockets``.
"""

from socket import socket

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
    _PyBytes_Resize,
)
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, errno

from .descriptor cimport Descriptor
from .loop cimport Loop
from .syscalls cimport *


async def sock_recv(Loop self, sock, n):
    """See ``asyncio.AbstractEventLoop.sock_recv``."""
    cdef Descriptor descriptor
    cdef bytes found
    cdef int fd
    if type(sock) is not socket or type(n) is not int or n <= 0 or self.debugging:
        return await self._read(sock, n, "recv", n)
    while True:
        fd = sock.fileno()
        descriptor = self.readiness(sock, fd)
        if descriptor is None or descriptor.readable:
            found = receive(fd, n)
            if found is not None:
                if descriptor is not None:
                    descriptor.took(len(found), n)
                return found
        if descriptor is None:
            descriptor = self._watch_socket(sock)
        await descriptor.wait_readable()


async def sock_sendall(Loop self, sock, data):
    """See ``asyncio.AbstractEventLoop.sock_sendall``."""
    cdef Py_ssize_t sent = 0
    if type(sock) is socket and type(data) is bytes and not self.debugging:
        sent = transmit(sock.fileno(), data)
        if sent == PyBytes_GET_SIZE(data):  # as is most often the case
            return
    await self._send_rest(sock, data, sent)


cdef bytes receive(int fd, Py_ssize_t size):
    """What there is, at most so many bytes; None where there is nothing yet."""
    cdef PyObject* whole = NULL
    cdef Py_ssize_t count = -1
    found = PyBytes_FromStringAndSize(NULL, size)
    while count < 0:
        count = recv(fd, PyBytes_AS_STRING(found), size, MSG_DONTWAIT)
        if count < 0:
            if errno == EAGAIN:
                return None
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
    Py_INCREF(found)
    whole, found = <PyObject*> found, None
    _PyBytes_Resize(&whole, count)  # nobody else has it yet
    found = <bytes> whole
    Py_DECREF(found)
    return found


cdef Py_ssize_t transmit(int fd, bytes data) except -1:
    """Send as much of it as the kernel takes; how much that is."""
    cdef Py_ssize_t count
    while True:
        count = send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), MSG_DONTWAIT | MSG_NOSIGNAL)
        if count >= 0:
            return count
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
