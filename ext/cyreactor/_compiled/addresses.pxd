# Socket addresses: the kernel's form and Python's.

from .syscalls cimport sockaddr_storage, socklen_t

cdef object from_sockaddr(const void* raw, socklen_t size)
cdef bytes to_sockaddr(int family, object address)
