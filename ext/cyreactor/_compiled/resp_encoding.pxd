# RESP as it is sent. Nothing here outlives a call.

cdef struct Output:
    char* memory         # `small`, or malloc'd once that is full
    Py_ssize_t size      # bytes written so far
    Py_ssize_t capacity
    char[512] small      # most replies fit: they cost one allocation, that of the result


cpdef bytes encode_commands(object commands)
cpdef bytes encode_reply(object value, int version=*)
cpdef bytes encode_replies(object values, int version=*)
