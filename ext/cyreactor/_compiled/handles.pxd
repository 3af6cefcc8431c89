# Calls that are scheduled: what runs next is in a loop's ring, what runs later in its heap.

from cpython.list cimport PyList_GET_ITEM, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t


# A handle that waits in the ring of a loop that runs belongs to that loop, which is alive: it is no work for
# the garbage collector, unless somebody else has it too by the time when it runs, or the loop stops before.
# With a thousand under way that is a fifth of what they cost. Free-threaded builds count references in
# another way.
cdef extern from *:
    """
    static inline void hide(PyObject *handle) {
    #ifndef Py_GIL_DISABLED
        PyObject_GC_UnTrack(handle);
    #endif
    }
    static inline void show(PyObject *handle) {
        if (!PyObject_GC_IsTracked(handle)) PyObject_GC_Track(handle);
    }
    static inline void show_shared(PyObject *handle) {
        if (Py_REFCNT(handle) > 1) show(handle);
    }
    """
    void hide(PyObject* handle)
    void show(PyObject* handle)
    void show_shared(PyObject* handle)


cdef class Handle


cdef class Record:
    cdef object traceback                # where it was scheduled
    cdef str description                 # what it looked like before it was cancelled


cdef class Scheduler:
    cdef list timers                     # heap of TimerHandle, None in the free places
    cdef Py_ssize_t delayed              # timers in the heap
    cdef bint debugging

    cdef int run(self, Handle handle) except -1
    cdef int run_watched(self, Handle handle) except -1


cdef class Handle:
    cdef object __weakref__
    cdef readonly object _callback       # None once cancelled
    cdef object first                    # the only argument, which needs no tuple then,
    cdef tuple rest                      # or all of them; None for none
    cdef bint alone                      # there is `first`
    cdef readonly object _context        # entered around the call
    cdef readonly Scheduler _loop
    cdef readonly bint _cancelled
    cdef Record record                   # debug mode

    cdef int annul(self) except -1


cdef class TimerHandle(Handle):
    cdef readonly double _when           # seconds of the loop's clock
    cdef uint64_t order                  # among equal deadlines: first come, first served
    cdef Py_ssize_t index                # in the heap; -1 when not in it


cdef Handle new_handle(Scheduler loop, object callback, tuple args, object context)
cdef TimerHandle new_timer(Scheduler loop, object callback, tuple args, object context)
cdef int heap_push(Scheduler loop, TimerHandle timer) except -1
cdef int heap_remove(Scheduler loop, TimerHandle timer) except -1


cdef inline int replace(list items, Py_ssize_t index, object item) noexcept:
    """Put an item into a place of a list."""
    cdef PyObject* former = <PyObject*> PyList_GET_ITEM(items, index)
    Py_INCREF(item)
    PyList_SET_ITEM(items, index, item)
    Py_DECREF(<object> former)
    return 0
