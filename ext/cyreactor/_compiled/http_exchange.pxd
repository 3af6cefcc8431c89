# One request and its answer at a time: what runs for every request of a server.

from .http cimport RequestParser
from .http_head cimport Request


cdef class LastHead:
    cdef public int status           # what the head was made of
    cdef public object fields        # this very tuple; something that nobody has where there is no head
    cdef public Py_ssize_t size      # of the body
    cdef public bytes head


cdef class Exchange:
    cdef public object transport     # None before connection_made
    cdef public RequestParser _parser
    cdef public Request _request     # that waits for its answer, or None
    cdef public LastHead _heads      # of the answers of this loop
    cdef public double _since        # when the sweep first saw what is waited for now; 0 is not yet
    cdef public bint _stopped        # nothing is delivered, whatever `_request` says
    cdef public bint _late           # delivery has ended before the parser was empty
    cdef public bint _no_more        # the client has sent everything
    cdef public bint _receiving      # streaming: body_ended of the last request was not called
    cdef public bint _expecting      # and its client waits for 100 before it sends the body
    cdef public bint _answering      # an answer in pieces was begun

    cdef int take_requests(self) except -1
