"""TLS without I/O by the process's own OpenSSL, the one that the ssl module is linked with.

A call of the ssl module costs as much as the encryption of a short message: arguments, the GIL given away and
taken back, an object for every result. OpenSSL's functions are found at run time, so nothing is linked. The
SSL object is found in the ssl module's, whose layout is no promise: it is believed only where everything that
can be known of it is as it must be, see `trusted`. Elsewhere there is the engine of `tls_engine`.

All of it runs under the GIL, so nobody else is at the object meanwhile. Free-threaded builds have none, and
are not served.
"""

import ssl

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
    _PyBytes_Resize,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

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
    BIO_TYPE_SOURCE_SINK = 0x0400
    BIO_CTRL_FLUSH = 11
    BIO_FLAGS_READ = 1
    BIO_FLAGS_RETRY = 0x0F               # all of READ, WRITE, IO_SPECIAL and SHOULD_RETRY
    BIO_FLAGS_SHOULD_RETRY = 8
    RECORD_SIZE = 16384
    RECORD_OVERHEAD = 96                 # head, initialization vector, padding and tag of the longest cipher

ctypedef int (*Asking)(void*) noexcept nogil
ctypedef void* (*Getting)(void*) noexcept nogil
ctypedef void (*Setting)(void*, void*) noexcept nogil
ctypedef void (*Flagging)(void*, int) noexcept nogil
ctypedef int (*Reading)(void*, char*, int) noexcept nogil
ctypedef int (*Writing)(void*, const char*, int) noexcept nogil
ctypedef long (*Controlling)(void*, int, long, void*) noexcept nogil

cdef struct Library:
    Reading SSL_read
    Writing SSL_write
    Asking SSL_has_pending
    Asking SSL_get_shutdown
    int (*SSL_get_error)(void*, int) noexcept nogil
    Getting SSL_get_SSL_CTX
    Getting SSL_CTX_get_ssl_method
    Getting SSL_get_rbio
    Getting SSL_get_wbio
    Setting SSL_set0_rbio
    Setting SSL_set0_wbio
    void* (*TLS_method)() noexcept nogil
    void* (*TLS_client_method)() noexcept nogil
    void* (*TLS_server_method)() noexcept nogil
    Getting BIO_new
    Asking BIO_free
    Asking BIO_up_ref
    Reading BIO_read
    Writing BIO_write
    Getting BIO_get_data
    Setting BIO_set_data
    Flagging BIO_set_flags
    Flagging BIO_clear_flags
    int (*BIO_get_new_index)() noexcept nogil
    void* (*BIO_meth_new)(int, const char*) noexcept nogil
    int (*BIO_meth_set_read)(void*, Reading) noexcept nogil
    int (*BIO_meth_set_write)(void*, Writing) noexcept nogil
    int (*BIO_meth_set_ctrl)(void*, Controlling) noexcept nogil
    unsigned long (*ERR_peek_error)() noexcept nogil
    void (*ERR_clear_error)() noexcept nogil

# Its members, in their order.
cdef list NAMES = """
    SSL_read SSL_write SSL_has_pending SSL_get_shutdown SSL_get_error SSL_get_SSL_CTX
    SSL_CTX_get_ssl_method SSL_get_rbio SSL_get_wbio SSL_set0_rbio SSL_set0_wbio TLS_method
    TLS_client_method TLS_server_method BIO_new BIO_free BIO_up_ref BIO_read BIO_write BIO_get_data
    BIO_set_data BIO_set_flags BIO_clear_flags BIO_get_new_index BIO_meth_new BIO_meth_set_read
    BIO_meth_set_write BIO_meth_set_ctrl ERR_peek_error ERR_clear_error
""".split()

cdef Library openssl
cdef object usable = None                # None: nobody has asked
cdef void* kind = NULL                   # of our BIOs: a BIO_METHOD*


cdef class Direct(Engine):
    """An SSL object of OpenSSL's; from the end of the handshake on it reads and writes the loop's memory."""

    def __dealloc__(self):
        if self.bio != NULL:
            openssl.BIO_set_data(self.bio, NULL)  # the SSL object may outlive us
            openssl.BIO_free(self.bio)
        if self.wires.source != NULL:
            openssl.BIO_free(self.wires.source)
            openssl.BIO_free(self.wires.target)
        Py_XDECREF(self.sealed)

    cdef int begin(self) except -1:
        self.bio = openssl.BIO_new(kind)
        if self.bio == NULL:
            raise MemoryError
        openssl.BIO_set_data(self.bio, &self.wires)
        self.wires.kept = self.wires.spilt = True
        for _ in range(2):  # one reference for each way
            openssl.BIO_up_ref(self.bio)
        openssl.SSL_set0_rbio(self.tls, self.bio)
        openssl.SSL_set0_wbio(self.tls, self.bio)
        return 0

    cdef int feed(self, const char* data, Py_ssize_t size) except -1:
        self.dry = False
        self.wires.fed, self.wires.left = data, size
        return 0

    cdef int keep(self) except -1:
        cdef Py_ssize_t left = self.wires.left
        if left == 0:
            return 0
        self.wires.left = 0
        self.wires.kept = True
        if openssl.BIO_write(self.wires.source, self.wires.fed, <int> left) != left:
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
                self.dry = not (self.wires.left or self.wires.kept or openssl.SSL_has_pending(self.tls))
            else:
                self.dry = True
                self.stopped(openssl.SSL_get_error(self.tls, more))
        return count

    cdef int stopped(self, int why) except -1:
        """No more could be decrypted. What an error was, the ssl module finds in OpenSSL's queue."""
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
        if self.sealed != NULL or self.wires.spilt:
            return self.add(data, size)
        self.wires.room = size + (size // RECORD_SIZE + 1) * RECORD_OVERHEAD
        sealed = PyBytes_FromStringAndSize(NULL, self.wires.room)
        Py_INCREF(sealed)
        self.sealed = <PyObject*> sealed
        self.wires.place = PyBytes_AS_STRING(sealed)
        try:
            return self.add(data, size)
        finally:
            self.wires.place = NULL

    cdef Py_ssize_t add(self, const char* data, Py_ssize_t size) except -1:
        cdef int count = openssl.SSL_write(self.tls, data, <int> min(size, INT_MAX))
        return count if count > 0 else Engine.encrypt(self, data, size)  # which says why

    cdef bytes drain(self):
        cdef bytes data = None, spilt = None
        if self.sealed != NULL:
            data = self.take_sealed()
        if self.wires.spilt or self.bio == NULL:  # until then, all of it
            self.wires.spilt = False
            spilt = self.outgoing.read()
            data = spilt if data is None else data + spilt
        return data or None

    cdef bytes take_sealed(self):
        """What was encrypted, without a copy: nobody else has the object, so it may still become shorter."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(<object> self.sealed) - self.wires.room
        _PyBytes_Resize(&self.sealed, size)
        data = <bytes> self.sealed
        Py_DECREF(data)
        self.sealed = NULL
        return data


# --- what OpenSSL calls, with the GIL or without ---

cdef int pull(void* bio, char* place, int size) noexcept nogil:
    """OpenSSL wants ciphertext: first what was kept, then what was fed."""
    cdef Wires* wires = <Wires*> openssl.BIO_get_data(bio)
    cdef int count
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RETRY)
    if wires == NULL:
        return 0
    if wires.kept:
        count = openssl.BIO_read(wires.source, place, size)
        if count > 0:
            return count
        wires.kept = False
    if wires.left == 0:
        openssl.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        return -1
    count = <int> min(size, wires.left)
    memcpy(place, wires.fed, count)
    wires.fed += count
    wires.left -= count
    return count


cdef int push(void* bio, const char* data, int size) noexcept nogil:
    """OpenSSL has ciphertext: into its place, and where that is too small into the ssl module's BIO."""
    cdef Wires* wires = <Wires*> openssl.BIO_get_data(bio)
    if wires == NULL:
        return 0
    if wires.place == NULL or wires.spilt or size > wires.room:
        wires.spilt = True
        return openssl.BIO_write(wires.target, data, size)
    memcpy(wires.place, data, size)
    wires.place += size
    wires.room -= size
    return size


cdef long control(void* bio, int command, long number, void* pointer) noexcept nogil:
    return command == BIO_CTRL_FLUSH  # there is nothing to flush, and nothing else that it can do


# --- whether, and how, OpenSSL can be called ---

def make(sslobj, incoming, outgoing):
    """The engine for an SSL object: the direct one where that can be trusted, else the ssl module's."""
    if not available() or not trusted(sslobj._sslobj, incoming, outgoing):
        return Engine(sslobj, incoming, outgoing)
    cdef Direct made = Direct(sslobj, incoming, outgoing)
    made.tls = slot(made.ssl, 1)
    made.wires.source = slot(incoming, 0)
    made.wires.target = slot(outgoing, 0)
    openssl.BIO_up_ref(made.wires.source)
    openssl.BIO_up_ref(made.wires.target)
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
    import sysconfig

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
    global kind
    cdef uintptr_t* slots = <uintptr_t*> &openssl
    assert len(NAMES) * sizeof(uintptr_t) == sizeof(Library)
    for index, name in enumerate(NAMES):
        slots[index] = address(name)
    kind = openssl.BIO_meth_new(openssl.BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, b"cyreactor")
    if kind == NULL:
        raise MemoryError
    openssl.BIO_meth_set_read(kind, pull)
    openssl.BIO_meth_set_write(kind, push)
    openssl.BIO_meth_set_ctrl(kind, control)
    return 0
