# OpenSSL called directly, on the SSL object of the ssl module.

from cpython.object cimport PyObject

from .tls_engine cimport Engine


# Between the SSL object and the loop's memory. OpenSSL reads and writes here without the GIL, too, when it is
# called by the ssl module: nothing of this is Python's.
cdef struct Wires:
    const char* fed                      # ciphertext that was not read yet
    Py_ssize_t left                      # bytes of it
    char* place                          # for ciphertext, while something is encrypted; or NULL
    Py_ssize_t room                      # bytes of that
    void* source                         # the BIO* of `incoming`, for what is kept
    void* target                         # the BIO* of `outgoing`, for what has no place
    bint kept                            # there is something in the former
    bint spilt                           # and in the latter


cdef class Direct(Engine):
    cdef void* tls                       # the SSL*, owned by `ssl`
    cdef void* bio                       # our own BIO*, once it is the SSL object's
    cdef Wires wires
    cdef PyObject* sealed                # bytes that are to leave before what was spilt, `room` too long

    cdef bytes take_sealed(self)
    cdef int stopped(self, int why) except -1
    cdef Py_ssize_t add(self, const char* data, Py_ssize_t size) except -1
