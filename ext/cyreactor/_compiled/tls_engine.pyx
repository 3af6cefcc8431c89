"""TLS without I/O: the ssl module's own object, called once a record.

What is decrypted goes straight into the memory of whoever wants it. The object is not asked in vain, which
would cost an exception each time: once both it and its BIO are empty nothing more can come.
"""

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory

from ssl import SSLSyscallError, SSLWantReadError

cdef tuple AGAIN = (SSLWantReadError, SSLSyscallError)


cdef class Engine:
    """An SSL object, what it reads from and what it writes to."""

    def __init__(self, sslobj, incoming, outgoing):
        self.ssl = sslobj._sslobj
        self.incoming = incoming
        self.outgoing = outgoing

    cdef int begin(self) except -1:
        """The handshake is done."""
        return 0

    cdef int feed(self, const char* data, Py_ssize_t size) except -1:
        """Ciphertext has come; it stays where it is until `keep`."""
        self.incoming.write(PyMemoryView_FromMemory(<char*> data, size, PyBUF_READ))
        self.dry = False
        return 0

    cdef int keep(self) except -1:
        """The memory of what was fed will be another's: copy what was not read of it."""
        return 0

    cdef Py_ssize_t decrypt(self, char* place, Py_ssize_t size) except -1:
        """Fill the memory with what can be decrypted, and say how much that was.

        Less than `size` means that there is no more, and `dry`, `ended` or `failure` why. An error is never
        raised here: whoever lent the memory gets to know first what is in it.
        """
        cdef Py_ssize_t count = 0, more
        while count < size and not self.dry:
            try:
                room = PyMemoryView_FromMemory(place + count, size - count, PyBUF_WRITE)
                more = self.ssl.read(size - count, room)
            except AGAIN:
                more = 0
            except BaseException as exc:
                more, self.failure = 0, exc
            else:
                self.ended = more == 0
            count += more
            self.dry = more == 0 or not self.incoming.pending and not self.ssl.pending()
        return count

    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t size) except -1:
        """Encrypt all of it, or nothing while the peer has to speak first; say how much that was."""
        try:
            return self.ssl.write(PyMemoryView_FromMemory(<char*> data, size, PyBUF_READ))
        except AGAIN:
            return 0

    cdef bytes drain(self):
        """The ciphertext that is to leave; None where there is none."""
        return self.outgoing.read() if self.outgoing.pending else None
