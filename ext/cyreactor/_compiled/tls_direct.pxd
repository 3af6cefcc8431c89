# OpenSSL called directly, on the SSL object of the ssl module.

from .tls_engine cimport Engine


cdef class Direct(Engine):
    cdef void* tls                       # the SSL*, kept by `ssl`
    cdef void* source                    # the BIO* of `incoming`
    cdef void* target                    # the BIO* of `outgoing`

    cdef int stopped(self, int why) except -1
