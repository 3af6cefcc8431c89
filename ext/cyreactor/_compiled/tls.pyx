"""TLS once the handshake is done: from the connection's bytes to the application's sink, and back.

asyncio's SSLProtocol, which ``cyreactor.tls`` mixes this into, keeps all that is rare: handshake,
shutdown, timeouts, the way from state to state. Here is what runs per read and per write.

Reading. Ciphertext comes into the loop's scratch, from where the engine reads it. What is decrypted goes into
other memory of the loop's, or wherever the application's sink wants it: a framer parses it in place.

Writing. What the application writes while it is called waits until it returns: then it becomes as few
records as possible, and one write to the connection, which sends it at the end of its dispatch. A write from
elsewhere is encrypted at once. While the connection asks for a pause, nothing is encrypted.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc

from .connection cimport Connection, make_sink
from .endpoint cimport as_bytes
from .sink cimport Sink
from .tls_engine cimport Engine

from asyncio.sslproto import SSLProtocolState

from cyreactor import limits
from cyreactor._compiled import tls_direct

cdef Py_ssize_t READ_SIZE = limits.READ_SIZE
cdef Py_ssize_t RECORD_SIZE = limits.TLS_RECORD
cdef Py_ssize_t ENCRYPTED_AT_ONCE = limits.TLS_AT_ONCE

cdef object HANDSHAKE = SSLProtocolState.DO_HANDSHAKE
cdef object WRAPPED = SSLProtocolState.WRAPPED
cdef object FLUSHING = SSLProtocolState.FLUSHING


# By their names in CYREACTOR_TLS.
ENGINES = {"direct": tls_direct.make, "memory": Engine}


cdef class Secured(Sink):
    """A TLS connection that is established; see ``cyreactor.tls`` for its beginning and its end."""

    def __cinit__(self, *args, **options):
        self.callback = "buffer_updated"  # as asyncio's is called, which this is instead of

    def _use(self, Engine engine):
        """Encrypt and decrypt with this."""
        self.engine = engine
        self.poller = self._loop._poller

    def get_sink(self, connection):
        """For the connection: what to read into."""
        return self

    # --- the application's protocol ---

    def _adopt(self, protocol):
        """From now on, read into what this protocol has for it."""
        cdef Sink former = self.inner
        if former is None:
            self.connection = self._transport if isinstance(self._transport, Connection) else None
            self.engine.begin()
        else:
            former.halted = True
        self.inner = make_sink(self._app_transport, protocol)
        self.inner.halted = self._app_reading_paused or self.closing
        if former is not None and not self.delivering:  # else it may be calling us: later
            self.keep_rest(former)
            self._loop.call_soon(self._do_read)

    def _halt(self, paused):
        """Deliver no more, for a while or, unless that is paused, for good."""
        self.closing |= not paused
        if self.inner is not None:
            self.inner.halted = True

    def _go_on(self):
        """Deliver again."""
        if self.inner is not None:
            self.inner.halted = self.closing

    def _release(self):
        """Nothing can come any more."""
        self._halt(False)
        self.inner = self.connection = self.rest = None

    cdef int keep_rest(self, Sink former) except -1:
        """The protocol was changed: its successor gets what it left."""
        rest = former.take()
        if rest:
            self.rest = rest if self.rest is None else rest + self.rest
        return 0

    # --- reading ---

    cdef char* reserve(self, char* scratch, Py_ssize_t* size) except NULL:
        self.scratch = scratch
        return scratch

    cdef int commit(self, Py_ssize_t count) except -1:
        if count == 0:  # what is held back is held back above, and asked for there
            return 0
        self.engine.feed(self.scratch, count)
        if self._state is not WRAPPED:
            self.engine.keep()
            self.buffer_updated(0)
        elif self.scratch == self.poller.scratch:
            self.pump(self.poller.lend())
        else:  # decrypted by another TLS, or from a test: what the loop lends is lent already
            self.pump(NULL)
        return 0

    def _do_read(self):
        self.engine.dry = False  # somebody else may have fed it
        if self._state is WRAPPED or self._state is FLUSHING:
            self.pump(NULL)

    cdef int pump(self, char* memory) except -1:
        """Deliver what can be decrypted, into the memory; then send what that had written."""
        try:
            try:
                if self.closing:
                    self.discard()
                elif not self.delivering and not self._app_reading_paused:
                    self.deliver(memory)
            finally:
                self.engine.keep()
                self.encrypt()
            self.hold_back()
        except Exception as exc:
            self._fatal_error(exc, "Fatal error on SSL protocol")
        return 0

    cdef int deliver(self, char* memory) except -1:
        cdef char* own = NULL
        self.delivering = True
        try:
            if memory == NULL:
                # The loop's may be lent to another connection, whose callback has called us.
                memory = own = <char*> malloc(READ_SIZE)
                if own == NULL:
                    raise MemoryError
                self.speak()
            self.deliver_to(memory)
        finally:
            self.delivering = False
            free(own)
        if self.engine.ended and not self.inner.halted:
            self._call_eof_received()
            self._start_shutdown()
        return 0

    cdef int speak(self) except -1:
        """Have the sink deliver what it held back."""
        cdef Sink inner = self.inner
        if not inner.halted and inner.commit(0):
            self.broken(inner.failure)
        return 0

    cdef int deliver_to(self, char* memory) except -1:
        """Go on until nothing is left, or until the application has had enough."""
        cdef Sink inner
        cdef int failed = 0
        while not failed:
            inner = self.inner
            if inner.halted:
                return 0
            if self.rest is not None:
                failed = self.pour_rest(inner)
            elif not self.engine.dry:
                failed = self.step(inner, memory)
            else:
                break
            if inner is not self.inner:
                self.keep_rest(inner)
        if failed:
            self.broken(inner.failure)
        elif self.engine.failure is not None:
            raise self.engine.failure
        return 0

    cdef int step(self, Sink inner, char* memory) except -1:
        cdef Py_ssize_t size = READ_SIZE
        cdef char* place = inner.reserve(memory, &size)
        return inner.commit(self.engine.decrypt(place, size))

    cdef int pour_rest(self, Sink inner) except -1:
        cdef bytes data = self.rest
        cdef Py_ssize_t used = 0
        self.rest = None
        cdef int failed = inner.absorb(data, &used)
        if used < len(data):
            self.rest = data[used:] if self.rest is None else self.rest + data[used:]
        return failed

    cdef int broken(self, failure) except -1:
        """What was decrypted is not what the application's protocol speaks."""
        self.encrypt()
        self._app_transport._end(failure)
        return 0

    cdef int discard(self) except -1:
        """Nobody wants what still comes, but the peer's close_notify is behind it."""
        cdef char[4096] memory
        while not self.engine.dry:
            self.engine.decrypt(memory, sizeof(memory))
        if self.engine.failure is not None:
            raise self.engine.failure
        return 0

    cdef int hold_back(self) except -1:
        """See that ciphertext does not pile up while the application does not read."""
        if self._ssl_reading_paused or not self.engine.dry:
            self._control_ssl_reading()
        return 0

    # --- writing ---

    cdef int write(self, list pieces) except -1:
        cdef bytes piece
        if self._state is not WRAPPED and self._state is not HANDSHAKE:
            self._write_appdata(())  # which counts it, and warns
            return 0
        for piece in pieces:
            if piece:
                self._write_backlog.append(piece)
                self._write_buffer_size += PyBytes_GET_SIZE(piece)
        if self._state is HANDSHAKE or self.delivering and self._write_buffer_size < ENCRYPTED_AT_ONCE:
            return 0
        try:
            self.encrypt()
        except Exception as exc:
            self._fatal_error(exc, "Fatal error on SSL protocol")
        return 0

    def _do_write(self):
        self.encrypt()

    def _process_outgoing(self):
        self.encrypt()

    cdef int encrypt(self) except -1:
        """Encrypt what was written, as far as it may leave, and hand it to the connection."""
        if self._transport is None:
            return 0
        while self._write_backlog and self.may_encrypt() and self.encrypt_some():
            if self._write_backlog:
                self.hand_over()
        self.hand_over()
        if self._app_writing_paused or self._write_buffer_size or self._ssl_writing_paused:
            self._control_app_writing()
        return 0

    cdef bint may_encrypt(self) except -1:
        if self._state is WRAPPED:
            return not self._ssl_writing_paused
        return self._state is FLUSHING  # close_notify goes behind all that was written

    cdef bint encrypt_some(self) except -1:
        """Encrypt what comes next; false while the peer must speak first."""
        cdef list backlog = <list> self._write_backlog
        if len(backlog) > 1 and self.encrypted == 0:
            merge(backlog)
        cdef bytes piece = backlog[0]
        cdef Py_ssize_t size = PyBytes_GET_SIZE(piece) - self.encrypted
        size = self.engine.encrypt(PyBytes_AS_STRING(piece) + self.encrypted, min(size, ENCRYPTED_AT_ONCE))
        self._write_buffer_size -= size
        self.encrypted += size
        if self.encrypted == PyBytes_GET_SIZE(piece):
            self.encrypted = 0
            del backlog[0]
        return size > 0

    cdef int hand_over(self) except -1:
        cdef bytes data
        if not self._ssl_writing_paused:
            data = self.engine.drain()
            if data is None:
                return 0
            if self.connection is not None:
                self.connection.submit(data)
            else:
                self._transport.write(data)
        return 0


cdef class Writing:
    """How the application's transport writes: without a frame of asyncio's."""

    def write(self, data):
        """Encrypt and send bytes. A mutable buffer may be changed as soon as this returns."""
        cdef Secured secured = self._ssl_protocol
        cdef bytes piece = data if type(data) is bytes else as_bytes(data)
        if secured is not None and piece:
            secured.write([piece])

    def writelines(self, list_of_data):
        """Encrypt and send several pieces as one write."""
        cdef Secured secured = self._ssl_protocol
        cdef list pieces = [item if type(item) is bytes else as_bytes(item) for item in list_of_data]
        if secured is not None:
            secured.write(pieces)


cdef int merge(list backlog) except -1:
    """Small pieces at the front become one, of a record at most: every record costs, here and at the peer."""
    cdef Py_ssize_t count = 1, size = PyBytes_GET_SIZE(<bytes> backlog[0])
    while count < len(backlog):
        size += PyBytes_GET_SIZE(<bytes> backlog[count])
        if size > RECORD_SIZE:
            break
        count += 1
    if count > 1:
        backlog[:count] = [b"".join(backlog[:count])]
    return 0
