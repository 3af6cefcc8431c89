# Readiness: who watches which descriptor, and what is owed to the kernel before the next wait.

from libc.stdint cimport uint32_t, uint64_t

from .syscalls cimport epoll_event


cdef class Watcher:
    cdef readonly int fd             # -1 once closed
    cdef uint32_t generation         # of the registration; an event with another one is stale
    cdef uint32_t interest           # the events that the kernel was asked for
    cdef bint watched                # is in the epoll set
    cdef int on_ready(self, uint32_t events) except -1
    cdef int flush(self) except -1


cdef class Poller:
    cdef int epoll
    cdef int waker                   # eventfd, edge-triggered: written by other threads, never read
    cdef uint32_t generation         # the last one given out; 0 is the waker's own
    cdef public bint debugging       # slow callbacks are looked for
    cdef bint precise                # the kernel has epoll_pwait2
    cdef epoll_event* events
    cdef int count                   # of the last wait's events
    cdef int at                      # the next of them to dispatch
    cdef list watchers               # by descriptor, None where nobody watches
    cdef list held                   # watchers with writes to flush before the next wait
    cdef double since                # when the first of them came, in a crowd
    cdef bint crowded                # the last wait brought several events: what is written leaves together
    cdef bint running                # somebody will wait, and flush before
    cdef bint sending                # what is held, one after the other
    cdef bint sleeping               # the next thread that leaves something to do must wake the poller
    cdef object arena                # what datagrams are read into, see datagram.Arena; None until one is
    cdef char* scratch               # lent to one sink at a time, from reserve to commit
    cdef char* second                # as much again, NULL until it is asked for
    cdef uint64_t iteration          # flushes so far: tells two writes of one iteration

    cpdef watcher(self, int fd)
    cdef int watch(self, Watcher watcher, uint32_t interest) except -1
    cdef int unwatch(self, Watcher watcher) except -1
    cdef int forget(self, Watcher watcher) except -1
    cdef char* lend(self) except NULL
    cdef int hold(self, Watcher watcher) except -1
    cpdef int flush(self) except -1
    cdef int send_held(self) except -1
    cdef int relieve(self) except -1
    cdef int wait(self, double timeout) except -1
    cdef int dispatch(self) except -1
    cdef int wake(self) except -1


cdef double monotonic() noexcept
