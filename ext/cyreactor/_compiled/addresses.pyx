"""Socket addresses, from the kernel's form to Python's and back: IPv4, IPv6 and Unix.

Python's are those of the ``socket`` module.
"""

import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy, memset

from .syscalls cimport *

cdef extern from "string.h":
    size_t strnlen(const char* text, size_t size)

cdef enum:
    NAME = 46       # INET6_ADDRSTRLEN
    PATH_AT = 2     # offsetof(struct sockaddr_un, sun_path)


cdef object from_sockaddr(const void* raw, socklen_t size):
    """What ``socket.accept`` or ``recvfrom`` would return; None for nobody, and for other families."""
    cdef const sockaddr_in* four = <const sockaddr_in*> raw
    cdef const sockaddr_in6* six = <const sockaddr_in6*> raw
    cdef char[NAME] name
    cdef tuple address
    if size < PATH_AT:
        return None
    if four.sin_family == AF_INET:
        inet_ntop(AF_INET, &four.sin_addr, name, NAME)
        return name.decode("ascii"), ntohs(four.sin_port)
    if four.sin_family == AF_INET6:
        inet_ntop(AF_INET6, &six.sin6_addr, name, NAME)
        address = (name.decode("ascii"), ntohs(six.sin6_port), ntohl(six.sin6_flowinfo), six.sin6_scope_id)
        if six.sin6_scope_id:
            return with_scope(address)
        return address
    if four.sin_family == AF_UNIX:
        return unix_name((<const sockaddr_un*> raw).sun_path, size - PATH_AT)
    return None


cdef object with_scope(tuple address):
    """The name of a link-local address says the interface, as ``socket`` would have it."""
    host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return (host, *address[1:])


cdef object unix_name(const char* path, socklen_t size):
    if size and path[0] == 0:
        return path[:size]
    return os.fsdecode(path[:strnlen(path, size)])


cdef bytes to_sockaddr(int family, object address):
    """The kernel's form of a plain numeric address or a path; None for all else that ``socket`` may know."""
    if family == AF_UNIX:
        return of_path(address) if type(address) is str else None
    if type(address) is not tuple or not 2 <= len(<tuple> address) <= (4 if family == AF_INET6 else 2):
        return None
    host, *numbers = <tuple> address
    if type(host) is not str or not (<str> host).isascii() or "\0" in <str> host:
        return None
    for number in numbers:
        if type(number) is not int or not 0 <= number <= 0xFFFF:
            return None
    return of_numbers(family, (<str> host).encode(), numbers)


cdef bytes of_numbers(int family, bytes host, list numbers):
    cdef sockaddr_in four
    cdef sockaddr_in6 six
    if family == AF_INET:
        memset(&four, 0, sizeof(four))
        four.sin_family = AF_INET
        four.sin_port = htons(numbers[0])
        if inet_pton(AF_INET, PyBytes_AS_STRING(host), &four.sin_addr) != 1:
            return None
        return (<char*> &four)[:sizeof(four)]
    memset(&six, 0, sizeof(six))
    six.sin6_family = AF_INET6
    six.sin6_port = htons(numbers[0])
    six.sin6_flowinfo = htonl(numbers[1]) if len(numbers) > 1 else 0
    six.sin6_scope_id = numbers[2] if len(numbers) > 2 else 0
    if inet_pton(AF_INET6, PyBytes_AS_STRING(host), &six.sin6_addr) != 1:
        return None
    return (<char*> &six)[:sizeof(six)]


cdef bytes of_path(str name):
    cdef sockaddr_un address
    cdef bytes path
    try:
        path = os.fsencode(name)
    except UnicodeEncodeError:
        return None
    cdef Py_ssize_t size = PyBytes_GET_SIZE(path)
    if not 0 < size < <Py_ssize_t> sizeof(address.sun_path) or b"\0" in path:
        return None
    memset(&address, 0, sizeof(address))
    address.sun_family = AF_UNIX
    memcpy(address.sun_path, PyBytes_AS_STRING(path), size)
    return (<char*> &address)[:PATH_AT + size + 1]
