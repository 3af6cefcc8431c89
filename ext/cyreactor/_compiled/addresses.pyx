"""Socket addresses, from the kernel's form to Python's and back: IPv4, IPv6 and Unix.

Python's are those of the ``socket`` module.
"""

import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy, memset, strlen

from .syscalls cimport *

cdef extern from "string.h":
    size_t strnlen(const char* text, size_t size)

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    NAME = 46       # INET6_ADDRSTRLEN
    NUMBERS = 3     # of an address beside the host: port, flow, scope
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
        return dotted(<const unsigned char*> &four.sin_addr), ntohs(four.sin_port)
    if four.sin_family == AF_INET6:
        inet_ntop(AF_INET6, &six.sin6_addr, name, NAME)
        address = (name.decode("ascii"), ntohs(six.sin6_port), ntohl(six.sin6_flowinfo), six.sin6_scope_id)
        if six.sin6_scope_id:
            return with_scope(address)
        return address
    if four.sin_family == AF_UNIX:
        return unix_name((<const sockaddr_un*> raw).sun_path, size - PATH_AT)
    return None


cdef str dotted(const unsigned char* octets):
    """What inet_ntop would say, which takes ten times as long: a datagram may come from anybody."""
    cdef char[16] name
    cdef int i, at = 0
    cdef unsigned char octet
    for i in range(4):
        octet = octets[i]
        if octet >= 100:
            name[at] = c"0" + octet // 100
            at += 1
        if octet >= 10:
            name[at] = c"0" + octet // 10 % 10
            at += 1
        name[at], name[at + 1] = c"0" + octet % 10, c"."
        at += 2
    return name[:at - 1].decode("ascii")


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
    cdef long numbers[NUMBERS]
    cdef Py_ssize_t i, size, length
    cdef int overflow
    if type(address) is not tuple:
        return None
    size = PyTuple_GET_SIZE(address)
    host = <object> PyTuple_GET_ITEM(address, 0) if size else None
    if type(host) is not str or not 2 <= size <= (NUMBERS + 1 if family == AF_INET6 else 2):
        return None
    memset(numbers, 0, sizeof(numbers))
    for i in range(size - 1):
        number = <object> PyTuple_GET_ITEM(address, i + 1)
        if type(number) is not int:
            return None
        numbers[i] = PyLong_AsLongAndOverflow(number, &overflow)
        if overflow or not 0 <= numbers[i] <= 0xFFFF:
            return None
    if not PyUnicode_IS_ASCII(host):
        return None
    name = PyUnicode_AsUTF8AndSize(host, &length)
    return of_numbers(family, name, numbers) if <Py_ssize_t> strlen(name) == length else None


cdef bytes of_numbers(int family, const char* host, const long* numbers):
    cdef sockaddr_in four
    cdef sockaddr_in6 six
    if family == AF_INET:
        memset(&four, 0, sizeof(four))
        four.sin_family = AF_INET
        four.sin_port = htons(numbers[0])
        if inet_pton(AF_INET, host, &four.sin_addr) != 1:
            return None
        return (<char*> &four)[:sizeof(four)]
    memset(&six, 0, sizeof(six))
    six.sin6_family = AF_INET6
    six.sin6_port = htons(numbers[0])
    six.sin6_flowinfo = htonl(numbers[1])
    six.sin6_scope_id = numbers[2]
    if inet_pton(AF_INET6, host, &six.sin6_addr) != 1:
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
