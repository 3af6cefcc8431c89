# A datagram socket: one descriptor, one protocol, a queue of datagrams.

from libc.stdint cimport uint64_t

from .endpoint cimport Endpoint
from .syscalls cimport iovec, mmsghdr, sockaddr_storage


cdef enum:
    BATCH = 16          # messages of one system call
    PIECES = 256        # datagrams that one sends
    CONTROL = 32        # words for what the kernel says beside a message: what it merged, timestamps
    SEGMENT = 4         # words for what it is told: the size of what it shall cut


cdef enum Segmenting:
    NEVER               # the kernel cuts nothing for this socket, or not on its way
    UNKNOWN             # it was not asked yet
    READY


cdef struct Outgoing:
    mmsghdr messages[BATCH]
    int runs[BATCH]                      # datagrams of each message
    uint64_t controls[BATCH][SEGMENT]
    iovec pieces[PIECES]
    int count                            # of the messages
    int used                             # of the pieces


cdef class Arena:
    cdef mmsghdr messages[BATCH]
    cdef iovec pieces[BATCH]
    cdef sockaddr_storage peers[BATCH]
    cdef uint64_t controls[BATCH][CONTROL]
    cdef char* memory
    cdef int receive(self, int fd, int most, size_t room) noexcept


cdef class Datagram(Endpoint):
    cdef readonly object _address        # the peer of a connected socket, None for any
    cdef int family
    cdef bint batches                    # the protocol takes whole lists, by datagrams_received
    cdef int most                        # messages that the next wake-up takes
    cdef list queue                      # pairs (bytes, address): the kernel's form, [Python's], or None
    cdef Py_ssize_t head                 # where in it the first is that has not left
    cdef object known                    # the address that was sent to last,
    cdef bytes known_raw                 # and the kernel's form of it
    cdef object peer                     # the address that was received from last,
    cdef bytes peer_raw                  # and the kernel's form of it
    cdef uint64_t written                # the iteration of the last datagram from outside of a dispatch
    cdef Segmenting segmenting           # whether equal datagrams leave as one message

    cdef int unpack(self, Arena arena, int index, list arrivals) except -1
    cdef object peer_of(self, const char* raw, Py_ssize_t size)
    cdef int deliver(self, list arrivals) except -1
    cdef int hand_over(self, tuple arrival) except -1
    cdef int hand_over_list(self, list arrivals) except -1
    cdef int report_error(self, exc) except -1
    cdef object target(self, address)
    cdef bint holds(self) noexcept
    cdef int after_write(self) except -1
    cdef int send_now(self, bytes piece, object raw) except -1
    cdef int send_named(self, bytes piece, list target) except -1
    cdef int send_one(self, bytes piece, address) except -1
    cdef int enqueue(self, bytes piece, target) except -1
    cdef int put_back(self, bytes piece, target) except -1
    cdef int send_slowly(self) except -1
    cdef int transmit(self, Outgoing* outgoing) noexcept
    cdef int send_failed(self, int error, bint merged) except -1
    cdef bint may_segment(self) noexcept
    cdef bint add_message(self, Outgoing* outgoing, Py_ssize_t waiting) noexcept
    cdef int extend(self, Outgoing* outgoing, Py_ssize_t waiting) noexcept
    cdef int drop(self, Py_ssize_t count) except -1
