# What encrypts and decrypts: an SSL object between two memory BIOs, without any I/O of its own.

cdef class Engine:
    cdef object ssl                      # the ssl module's inner object, `_ssl._SSLSocket`
    cdef object incoming                 # ciphertext that has come, a MemoryBIO
    cdef object outgoing                 # ciphertext that is to leave
    cdef bint dry                        # nothing can be decrypted until more is fed
    cdef bint ended                      # the peer's close_notify was read
    cdef object failure                  # what broke the stream, raised once what came before is delivered

    cdef int begin(self) except -1
    cdef int feed(self, const char* data, Py_ssize_t size) except -1
    cdef int keep(self) except -1
    cdef Py_ssize_t decrypt(self, char* place, Py_ssize_t size) except -1
    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t size) except -1
    cdef bytes drain(self)


cdef tuple AGAIN                         # what the ssl module raises where more must come first
