"""The scheduler: ready queue, timers, mail from other threads, and the phases of an iteration.

An iteration, in this order and no other:

    1. flush      writes that were held leave, before anything may block
    2. wait       for events; not at all while something is ready or the loop is stopping: then it looks for
                  them, and where only a few callbacks have run since the last look not even that
    3. mail       what other threads scheduled becomes ready
    4. ready      the handles that are ready now, not those that they schedule
    5. dispatch   each event to its watcher, which calls the protocol at once
    6. timers     those that were due after the wait
    7. ready      after events only: what they made ready, for the kernel was asked just now

So everything runs in the order in which asyncio would run it, which queues 5 and 6 behind 4, and
which would ask the kernel once more before 7.
Handles, timers and mail live in Python lists, where the garbage collector sees them, but for the ready
handles of a loop that runs, see `hide`.
"""


cimport cython
from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.math cimport INFINITY

from .descriptor cimport Descriptor, as_descriptor
from .handles cimport (
    Handle,
    Scheduler,
    TimerHandle,
    heap_push,
    heap_remove,
    hide,
    new_handle,
    new_timer,
    replace,
    show,
    show_shared,
)
from .poller cimport Poller, monotonic
from .syscalls cimport *

from asyncio import base_events, format_helpers, futures, tasks

from cyreactor import limits

cdef extern from "Python.h":
    PyObject* PyObject_CallNoArgs(object callback)
    PyObject* PyObject_CallOneArg(object callback, object argument)
    PyObject* PyObject_Vectorcall(object callback, PyObject** args, size_t count, PyObject* names)
    PyObject** PySequence_Fast_ITEMS(object args)
    int PyContext_Enter(object context)
    int PyContext_Exit(object context)

cdef object NOTHING = object()
cdef double FOREVER = -1.0
cdef Py_ssize_t CALLBACKS_PER_POLL = limits.CALLBACKS_PER_POLL

# Since Python 3.14 what call_soon_threadsafe returns is asyncio's own: a cancel() from another thread waits
# for the callback that it comes too late for.
cdef object THREAD_SAFE = getattr(base_events.events, "_ThreadSafeHandle", None)


cdef class Loop(Scheduler):
    """The compiled scheduler under ``cyreactor.Reactor``; names and semantics are asyncio's."""

    def __cinit__(self, *args, **kwargs):
        self._poller = Poller()
        self.ready = [None] * 64
        self.timers = []
        self.inbox = []
        self._manual_time = -1

    # --- the seams of asyncio's own event loop ---

    def _adopt_selector(self, selector):
        if selector is not None:
            raise TypeError("the compiled core has its own epoll: CYREACTOR_BACKEND=pure takes a selector")
        return self._poller

    def _release(self):
        """Forget everything; further calls are errors."""
        self.closed = True
        self._poller.close()
        self.show_ready()
        self.ready, self.head, self.count = [None] * 64, 0, 0
        for timer in self.timers:
            if timer is not None:
                (<TimerHandle> timer).index = -1
        self.timers, self.delayed = [], 0
        self.inbox = []

    def set_debug(self, enabled):
        self.debugging = self._poller.debugging = bool(enabled)
        super(Loop, self).set_debug(enabled)

    def stop(self):
        self.stopping = True
        self._stopping = True

    def _run_once(self):
        """Iterate until ``stop``: asyncio's ``run_forever`` calls this, and then finds the loop stopping.

        Once only for a program that has a ``run_forever`` of its own.
        """
        self.begin(self._stopping)
        try:
            while True:
                self.iterate(FOREVER)
                if self.stopping or not self._driven:
                    break
        finally:
            try:
                if not self.closed:  # as it is in a child that leaves: the rest is its parent's to send
                    self._poller.flush()
            finally:
                self.end()

    def _iterate(self, double longest):
        """Run one iteration that waits at most so many seconds (below zero: until an event).

        Returns how many events there were.
        """
        self.begin(False)
        try:
            return self.iterate(longest)
        finally:
            self.end()

    def _next_due(self):
        """When the next scheduled call is due: below zero at once, infinity where there is none."""
        if self.count or self.has_mail or self._poller.held:
            return -1.0
        return (<TimerHandle> self.timers[0])._when if self.delayed else INFINITY

    cdef int begin(self, bint stopping) except -1:
        if self.thread:  # the memory of a read is shared: an iteration inside a callback would overwrite it
            raise RuntimeError("This event loop is already running")
        self.stopping = stopping
        self.unpolled = CALLBACKS_PER_POLL  # who runs the loop wants to hear of events
        self.thread = PyThread_get_thread_ident()
        self._poller.running = True
        return 0

    cdef int end(self) except -1:
        self.thread = 0
        self._poller.running = False
        return self.show_ready()

    def _write_to_self(self):
        self._poller.wake()

    def _add_callback(self, handle):
        """Schedule a handle that asyncio itself made, for a signal."""
        if not handle.cancelled():
            self.push(new_handle(self, handle._run, None, None))

    # --- scheduling ---

    def create_future(self):
        """See ``asyncio.loop.create_future``."""
        return futures.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None, **others):
        """See ``asyncio.loop.create_task``."""
        if others or self.debugging or self.closed or self._task_factory is not None:
            # A factory hears only of what was given: since Python 3.14 of every keyword.
            if name is not None:
                others["name"] = name
            if context is not None:
                others["context"] = context
            return super(Loop, self).create_task(coro, **others)
        return tasks.Task(coro, loop=self, name=name, context=context)

    def get_debug(self):
        """See ``asyncio.loop.get_debug``: each future and each task asks."""
        return self.debugging

    def time(self):
        """The loop's clock, in seconds: CLOCK_MONOTONIC, as ``time.monotonic``."""
        return self.now()

    def call_soon(self, callback, _first=NOTHING, *args, context=None):
        """Call back after the present callback. See ``asyncio.loop.call_soon``."""
        if self.closed:
            self._check_closed()
        if self.debugging:
            self._check_thread()
            self._check_callback(callback, "call_soon")
        if self.has_mail:
            self.deliver_mail()  # first come, first served
        cdef Handle handle
        if _first is NOTHING:
            handle = new_handle(self, callback, None, context)
        elif args:
            handle = new_handle(self, callback, (_first,) + args, context)
        else:
            handle = new_handle(self, callback, None, context)
            handle.first, handle.alone = _first, True
        if self.thread:
            hide(<PyObject*> handle)
        self.push(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        """Call back after ``delay`` seconds, never earlier. See ``asyncio.loop.call_later``."""
        if delay is None:
            raise TypeError("delay must not be None")
        return self.schedule(self.now() + <double> delay, callback, args, context, "call_later")

    def call_at(self, when, callback, *args, context=None):
        """Call back when ``time()`` reaches ``when``, never earlier. See ``asyncio.loop.call_at``."""
        if when is None:
            raise TypeError("when cannot be None")
        return self.schedule(when, callback, args, context, "call_at")

    @cython.final
    cdef TimerHandle schedule(self, double when, callback, tuple args, context, str caller):
        if self.closed:
            self._check_closed()
        if self.debugging:
            self._check_thread()
            self._check_callback(callback, caller)
        if when != when:
            raise ValueError(f"{caller}() was given a time that is not a number (NaN)")
        cdef TimerHandle timer = new_timer(self, callback, args, context)
        timer._when = when
        timer.order = self.scheduled
        self.scheduled += 1
        heap_push(self, timer)
        return timer

    def call_soon_threadsafe(self, callback, *args, context=None):
        """As ``call_soon``, from any thread or signal handler; wakes the loop where it sleeps."""
        if self.closed:
            self._check_closed()
        if self.debugging:
            self._check_callback(callback, "call_soon_threadsafe")
        if not args:
            args = None
        cdef object returned = None
        if THREAD_SAFE is not None:
            returned = THREAD_SAFE(callback, args or (), self, context)
            if returned._source_traceback:
                del returned._source_traceback[-1]  # its own __init__
            callback, args, context = returned._run, None, None
        cdef Handle handle = new_handle(self, callback, args, context)
        cdef bint wake
        if PyThread_get_thread_ident() == self.thread:
            hide(<PyObject*> handle)
            self.push(handle)
            wake = self._poller.sleeping
        else:
            wake = self.post(handle)
        if wake:
            self._poller.wake()
        return handle if returned is None else returned

    cdef bint post(self, Handle handle) except -1:
        self.inbox.append(handle)
        self.has_mail = True
        cdef bint wake = self._poller.sleeping
        self._poller.sleeping = False
        return wake

    # --- the ready queue ---

    @cython.final
    cdef int push(self, Handle handle) except -1:
        while self.count == len(self.ready):  # what a finalizer pushes meanwhile may fill it again
            self.grow()
        replace(self.ready, (self.head + self.count) & (len(self.ready) - 1), handle)
        self.count += 1
        return 0

    cdef int grow(self) except -1:
        """Double the ring. Making the list may run the garbage collector, and finalizers that push."""
        cdef list larger = [None] * (2 * len(self.ready))
        cdef Py_ssize_t i, size = len(self.ready)
        if len(larger) <= size:
            return 0
        for i in range(size):
            replace(larger, i, <object> PyList_GET_ITEM(self.ready, (self.head + i) & (size - 1)))
        self.ready, self.head = larger, 0
        return 0

    @cython.final
    cdef int show_ready(self) except -1:
        """The loop does not run: whether it and what waits are alive is the garbage collector's question."""
        cdef Py_ssize_t i
        for i in range(self.count):
            show(PyList_GET_ITEM(self.ready, (self.head + i) & (len(self.ready) - 1)))
        return 0

    @cython.final
    cdef int run_ready(self, Py_ssize_t count) except -1:
        cdef Handle handle
        while count > 0 and self.count > 0:
            count -= 1
            handle = <Handle> PyList_GET_ITEM(self.ready, self.head)
            replace(self.ready, self.head, None)
            self.head = (self.head + 1) & (len(self.ready) - 1)
            self.count -= 1
            show_shared(<PyObject*> handle)
            if handle._cancelled:
                continue
            if self.debugging:
                self.run_watched(handle)
            else:
                self.run(handle)
            if self._poller.crowded:
                self._poller.relieve()
        return 0

    @cython.final
    cdef int run_watched(self, Handle handle) except -1:
        """Run a handle; in debug mode say when it took long."""
        if not self.debugging:
            return self.run(handle)
        self._current_handle = handle
        cdef double start = self.now()
        try:
            self.run(handle)
        finally:
            self._current_handle = None
        cdef double elapsed = self.now() - start
        if elapsed >= self.slow_callback_duration:
            described = base_events._format_handle(handle)
            base_events.logger.warning("Executing %s took %.3f seconds", described, elapsed)
        return 0

    @cython.final
    cdef int run(self, Handle handle) except -1:
        cdef object context = handle._context
        cdef PyObject* result = NULL
        if PyContext_Enter(context) == 0:
            if handle.alone:
                result = PyObject_CallOneArg(handle._callback, handle.first)
            else:
                result = call(handle._callback, handle.rest)
            PyContext_Exit(context)
        if result != NULL:
            Py_DECREF(<object> result)
            return 0
        try:
            propagate()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self.report(handle, exc)
        return 0

    cdef int report(self, Handle handle, exc) except -1:
        show(<PyObject*> handle)  # whoever is told may keep it
        source = format_helpers._format_callback_source(handle._callback, handle._args)
        context = {"message": f"Exception in callback {source}", "exception": exc, "handle": handle}
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)
        return 0

    # --- an iteration ---

    @cython.final
    cdef int iterate(self, double longest) except -1:
        self._poller.flush()
        cdef int events = 0 if self.looks_away() else self.wait(longest)
        if self.has_mail:
            self.deliver_mail()
        cdef Py_ssize_t ready = self.count
        cdef Py_ssize_t due = self.expire() if self.delayed else 0
        self.run_ready(ready)
        if events:
            self._poller.dispatch()
        if due:
            self.run_ready(due)
        if events and not self.stopping:
            self.run_ready(self.count)
        return events

    @cython.final
    cdef bint looks_away(self) noexcept:
        """Whether what is ready runs first: a bounded number of callbacks between two looks at the kernel."""
        if self.count == 0 or self.stopping or self.unpolled + self.count > CALLBACKS_PER_POLL:
            self.unpolled = 0
            return False
        self.unpolled += self.count
        return True

    @cython.final
    cdef int wait(self, double longest) except -1:
        cdef double timeout = self.patience(longest)
        if timeout != 0:
            self._poller.sleeping = True
            if self.has_mail:
                timeout = 0
        return self._poller.wait(timeout)

    @cython.final
    cdef double now(self) noexcept:
        return monotonic() if self._manual_time < 0 else self._manual_time

    @cython.final
    cdef double patience(self, double longest) except? -2:
        """How long this iteration may wait, in seconds; below zero without end."""
        if self.count or self.stopping:
            return 0
        if self.delayed == 0:
            return longest
        cdef double wait = (<TimerHandle> PyList_GET_ITEM(self.timers, 0))._when - self.now()
        if wait <= 0:
            return 0
        if self._manual_time >= 0:  # waiting would not bring it nearer
            return longest
        return wait if longest < 0 else min(wait, longest)

    @cython.final
    cdef int deliver_mail(self) except -1:
        self.has_mail = False
        mail, self.inbox = self.inbox, []
        for handle in mail:
            self.push(<Handle> handle)
        return 0

    @cython.final
    cdef Py_ssize_t expire(self) except -1:
        """Make ready what is due; how many."""
        cdef Py_ssize_t due = 0
        cdef double now = self.now()
        cdef TimerHandle timer
        while self.delayed:
            timer = <TimerHandle> PyList_GET_ITEM(self.timers, 0)
            if timer._when > now:
                break
            heap_remove(self, timer)
            self.push(timer)
            due += 1
        return due

    # --- the user's descriptors ---

    def _readiness(self, sock):
        """What ``sock_*`` calls on this socket wait at; None where none has waited yet."""
        return self.readiness(sock, sock.fileno())

    cdef Descriptor readiness(self, object sock, int fd):
        watcher = self._poller.watcher(fd)
        return watcher if type(watcher) is Descriptor and (<Descriptor> watcher).serves(sock) else None

    def _watch_socket(self, sock):
        """Have ``sock_*`` calls wait for this socket. Raises RuntimeError for one of a transport's."""
        self._check_closed()
        self._ensure_fd_no_transport(sock)
        descriptor = self.descriptor(sock)
        descriptor.own(sock)
        return descriptor

    cdef Descriptor descriptor(self, object fileobj):
        """The watcher of a descriptor of the user's, an idle one where there is none."""
        cdef int fd = as_descriptor(fileobj)
        watcher = self._poller.watcher(fd)
        if isinstance(watcher, Descriptor):
            return watcher
        cdef Descriptor fresh = Descriptor()
        fresh.fd, fresh.poller, fresh.loop = fd, self._poller, self
        return fresh

    def _add_reader(self, fd, callback, *args):
        self._check_closed()
        return self.descriptor(fd).read_by(new_handle(self, callback, args, None))

    def _add_writer(self, fd, callback, *args):
        self._check_closed()
        return self.descriptor(fd).written_by(new_handle(self, callback, args, None))

    def _remove_reader(self, fd):
        return not self.closed and self.descriptor(fd).read_by_none()

    def _remove_writer(self, fd):
        return not self.closed and self.descriptor(fd).written_by_none()


cdef PyObject* call(object callback, tuple args) noexcept:
    if args is None:
        return PyObject_CallNoArgs(callback)
    return PyObject_Vectorcall(callback, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args), NULL)


cdef int propagate() except -1:
    """Turn the error that a C call left behind into an exception."""
    return -1
