"""Socket addresses, from the kernel's form to Python's and back: IPv4, IPv6 and Unix.

Python's are those of the ``socket`` module.
"""

import os
import socket

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
    """The kernel's form. A host's name is looked up, which blocks; raises as ``socket.sendto`` does."""
    if family == AF_UNIX:
        return of_path(os.fsencode(address))
    if not isinstance(address, tuple) or not 2 <= len(address) <= (4 if family == AF_INET6 else 2):
        raise TypeError(f"an address is a tuple (host, port), not {address!r}")
    host, port = address[:2]
    if not isinstance(port, int):
        raise TypeError(f"port must be an integer, not {port!r}")
    if not 0 <= port <= 65535:
        raise OverflowError(f"port must be 0-65535, not {port}")
    raw = of_numbers(family, host, port, address[2:])
    if raw is None:
        found = socket.getaddrinfo(host or None, port, family, socket.SOCK_DGRAM)[0][4]
        raw = of_numbers(family, found[0].partition("%")[0], port, found[2:])
    return raw


cdef bytes of_numbers(int family, str host, int port, tuple rest):
    """The kernel's form of a numeric address; None for any other."""
    cdef sockaddr_in four
    cdef sockaddr_in6 six
    name = host.encode("idna") if not host.isascii() else host.encode()
    if family == AF_INET:
        memset(&four, 0, sizeof(four))
        four.sin_family = AF_INET
        four.sin_port = htons(port)
        return (<char*> &four)[:sizeof(four)] if inet_pton(AF_INET, name, &four.sin_addr) == 1 else None
    memset(&six, 0, sizeof(six))
    six.sin6_family = AF_INET6
    six.sin6_port = htons(port)
    six.sin6_flowinfo = htonl(rest[0]) if rest else 0
    six.sin6_scope_id = rest[1] if len(rest) > 1 else 0
    return (<char*> &six)[:sizeof(six)] if inet_pton(AF_INET6, name, &six.sin6_addr) == 1 else None


cdef bytes of_path(bytes path):
    cdef sockaddr_un address
    cdef Py_ssize_t size = len(path)
    if size >= <Py_ssize_t> sizeof(address.sun_path):
        raise OSError("AF_UNIX path too long")
    memset(&address, 0, sizeof(address))
    address.sun_family = AF_UNIX
    memcpy(address.sun_path, <char*> path, size)
    # An abstract name has no NUL at its end, a path has.
    return (<char*> &address)[:PATH_AT + size + (size == 0 or path[0] != 0)]
