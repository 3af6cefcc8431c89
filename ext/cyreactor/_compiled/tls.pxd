# TLS between a connection and the sink of the application's protocol, once the handshake is done.

from .connection cimport Connection
from .poller cimport Poller
from .sink cimport Sink
from .tls_engine cimport Engine


cdef class Secured(Sink):
    # What of the attributes of asyncio's SSLProtocol, which this is mixed into, is looked at per read.
    cdef public object _state
    cdef public object _transport            # below; None before and after
    cdef public object _app_transport        # above
    cdef public object _write_backlog        # bytes to encrypt, a list
    cdef public Py_ssize_t _write_buffer_size    # of them
    cdef public bint _app_reading_paused     # above; what is below follows once much has come
    cdef public bint _ssl_reading_paused     # below
    cdef public bint _app_writing_paused     # above
    cdef public bint _ssl_writing_paused     # below

    cdef Engine engine
    cdef Connection connection               # below, where it is one: None over another TLS, and in tests
    cdef Poller poller
    cdef Sink inner                          # of the application's protocol; None until the handshake is done
    cdef bytes rest                          # plaintext that a former protocol left
    cdef char* scratch                       # where the last read went
    cdef Py_ssize_t encrypted                # bytes of the backlog's first piece that were encrypted already
    cdef bint delivering                     # the application is being called: what it writes waits
    cdef bint closing                        # it wants no more

    cdef int pump(self, char* memory) except -1
    cdef int deliver(self, char* memory) except -1
    cdef int speak(self) except -1
    cdef int deliver_to(self, char* memory) except -1
    cdef int step(self, Sink inner, char* memory) except -1
    cdef int pour_rest(self, Sink inner) except -1
    cdef int keep_rest(self, Sink former) except -1
    cdef int broken(self, failure) except -1
    cdef int discard(self) except -1
    cdef int hold_back(self) except -1
    cdef int write(self, list pieces) except -1
    cdef int encrypt(self) except -1
    cdef bint may_encrypt(self) except -1
    cdef bint encrypt_some(self) except -1
    cdef int hand_over(self) except -1
