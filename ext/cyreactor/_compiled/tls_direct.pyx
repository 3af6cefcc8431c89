"""TLS without I/O by the process's own OpenSSL, the one that the ssl module is linked with.

A call of the ssl module costs as much as the encryption of a short message: arguments, the GIL given away and
taken back, an object for every result. OpenSSL's functions are found at run time, so nothing is linked. The
SSL object is found in the ssl module's, whose layout is no promise: it is believed only where everything that
can be known of it is as it must be, see `trusted`. Elsewhere there is the engine of `tls_engine`.

All of it runs under the GIL, so nobody else is at the object meanwhile. Free-threaded builds have none, and
are not served.
"""

import ssl
import sysconfig

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t

from .tls_engine cimport AGAIN, Engine

cdef extern from *:
    """
    typedef struct { PyObject_HEAD void *slots[3]; } Layout;
    """
    ctypedef struct Layout:
        void* slots[3]

cdef enum:
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_ZERO_RETURN = 6
    SSL_RECEIVED_SHUTDOWN = 2

ctypedef int (*Reading)(void*, void*, int) noexcept
ctypedef int (*Writing)(void*, const void*, int) noexcept
ctypedef int (*Asking)(void*) noexcept
ctypedef int (*Explaining)(void*, int) noexcept
ctypedef size_t (*Counting)(void*) noexcept
ctypedef void* (*Getting)(void*) noexcept
ctypedef void* (*Making)() noexcept
ctypedef unsigned long (*Peeking)() noexcept
ctypedef void (*Cleaning)() noexcept

cdef struct Library:
    Reading SSL_read
    Writing SSL_write
    Asking SSL_has_pending
    Asking SSL_get_shutdown
    Explaining SSL_get_error
    Getting SSL_get_SSL_CTX
    Getting SSL_CTX_get_ssl_method
    Getting SSL_get_rbio
    Getting SSL_get_wbio
    Reading BIO_read
    Writing BIO_write
    Counting BIO_ctrl_pending
    Making TLS_method
    Making TLS_client_method
    Making TLS_server_method
    Peeking ERR_peek_error
    Cleaning ERR_clear_error

cdef Library openssl
cdef object usable = None                # None: nobody has asked


cdef class Direct(Engine):
    """An SSL object of OpenSSL's, what it reads from and what it writes to."""

    cdef int feed(self, const char* data, Py_ssize_t size) except -1:
        self.dry = False
        if openssl.BIO_write(self.source, data, <int> size) != size:
            raise MemoryError
        return 0

    cdef Py_ssize_t decrypt(self, char* place, Py_ssize_t size) except -1:
        cdef Py_ssize_t count = 0
        cdef int more
        if openssl.ERR_peek_error():  # somebody else's: it would be taken for one of this stream
            openssl.ERR_clear_error()
        while count < size and not self.dry:
            more = openssl.SSL_read(self.tls, place + count, <int> min(size - count, INT_MAX))
            if more > 0:
                count += more
                self.dry = openssl.BIO_ctrl_pending(self.source) == 0 and not openssl.SSL_has_pending(self.tls)
            else:
                self.dry = True
                self.stopped(openssl.SSL_get_error(self.tls, more))
        return count

    cdef int stopped(self, int why) except -1:
        """No more could be decrypted. What an error was the ssl module says, which finds it in OpenSSL's queue."""
        if why == SSL_ERROR_WANT_READ or why == SSL_ERROR_WANT_WRITE:
            return 0
        if why == SSL_ERROR_ZERO_RETURN and openssl.SSL_get_shutdown(self.tls) == SSL_RECEIVED_SHUTDOWN:
            self.ended = True
            return 0
        try:
            self.ssl.read(1)
        except AGAIN:
            return 0
        except BaseException as exc:
            self.failure = exc
        else:
            self.failure = ssl.SSLError("TLS failed")
        return 0

    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t size) except -1:
        cdef int count = openssl.SSL_write(self.tls, data, <int> min(size, INT_MAX))
        return count if count > 0 else Engine.encrypt(self, data, size)  # which says why

    cdef bytes drain(self):
        cdef Py_ssize_t size = openssl.BIO_ctrl_pending(self.target)
        if size == 0:
            return None
        cdef bytes data = PyBytes_FromStringAndSize(NULL, size)
        openssl.BIO_read(self.target, PyBytes_AS_STRING(data), <int> size)
        return data


def make(sslobj, incoming, outgoing):
    """The engine for an SSL object: the direct one where that can be trusted, else the ssl module's."""
    if not available() or not trusted(sslobj._sslobj, incoming, outgoing):
        return Engine(sslobj, incoming, outgoing)
    cdef Direct made = Direct(sslobj, incoming, outgoing)
    made.tls = slot(made.ssl, 1)
    made.source = slot(incoming, 0)
    made.target = slot(outgoing, 0)
    return made


cdef void* slot(object holder, int index):
    """A field of an object in C, after the head that all objects have."""
    return (<Layout*> <PyObject*> holder).slots[index]


cdef bint trusted(object inner, object incoming, object outgoing) except -1:
    """Whether the fields of the ssl module's objects are where they are looked for.

    No pointer is followed before both of its neighbours are what they must be: no socket, and the context
    that Python knows. OpenSSL then has to say the same as Python of the context and of both BIOs. The method,
    which is a constant in the library's memory, tells this library from another copy of it.
    """
    if type(inner).__basicsize__ < sizeof(Layout) or not type(inner).__module__ == "_ssl":
        return False
    context = inner.context
    if slot(inner, 0) != NULL or slot(inner, 1) == NULL or slot(inner, 2) != <void*> context:
        return False
    cdef void* tls = slot(inner, 1)
    cdef void* known = openssl.SSL_get_SSL_CTX(tls)
    if known != slot(context, 0):
        return False
    cdef void* method = openssl.SSL_CTX_get_ssl_method(known)
    return (
        method in (openssl.TLS_method(), openssl.TLS_client_method(), openssl.TLS_server_method())
        and openssl.SSL_get_rbio(tls) == slot(incoming, 0)
        and openssl.SSL_get_wbio(tls) == slot(outgoing, 0)
    )


def available():
    """Whether OpenSSL's functions can be called; they are looked for once, when somebody asks."""
    global usable
    if usable is None:
        usable = find()
    return usable


cdef bint find() except -1:
    if sysconfig.get_config_var("Py_GIL_DISABLED") or not ssl.OPENSSL_VERSION.startswith("OpenSSL "):
        return False
    try:
        import _ssl
        import ctypes

        library = ctypes.CDLL(_ssl.__file__)
        number = library.OpenSSL_version_num
        number.restype = ctypes.c_ulong
        if number() != ssl.OPENSSL_VERSION_NUMBER:
            return False
        take(lambda name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    except (ImportError, AttributeError, OSError):  # linked in statically, or no ctypes here
        return False
    return True


cdef int take(object address) except -1:
    openssl.SSL_read = <Reading> <uintptr_t> address("SSL_read")
    openssl.SSL_write = <Writing> <uintptr_t> address("SSL_write")
    openssl.SSL_has_pending = <Asking> <uintptr_t> address("SSL_has_pending")
    openssl.SSL_get_shutdown = <Asking> <uintptr_t> address("SSL_get_shutdown")
    openssl.SSL_get_error = <Explaining> <uintptr_t> address("SSL_get_error")
    openssl.SSL_get_SSL_CTX = <Getting> <uintptr_t> address("SSL_get_SSL_CTX")
    openssl.SSL_CTX_get_ssl_method = <Getting> <uintptr_t> address("SSL_CTX_get_ssl_method")
    openssl.SSL_get_rbio = <Getting> <uintptr_t> address("SSL_get_rbio")
    openssl.SSL_get_wbio = <Getting> <uintptr_t> address("SSL_get_wbio")
    openssl.BIO_read = <Reading> <uintptr_t> address("BIO_read")
    openssl.BIO_write = <Writing> <uintptr_t> address("BIO_write")
    openssl.BIO_ctrl_pending = <Counting> <uintptr_t> address("BIO_ctrl_pending")
    openssl.TLS_method = <Making> <uintptr_t> address("TLS_method")
    openssl.TLS_client_method = <Making> <uintptr_t> address("TLS_client_method")
    openssl.TLS_server_method = <Making> <uintptr_t> address("TLS_server_method")
    openssl.ERR_peek_error = <Peeking> <uintptr_t> address("ERR_peek_error")
    openssl.ERR_clear_error = <Cleaning> <uintptr_t> address("ERR_clear_error")
    return 0
