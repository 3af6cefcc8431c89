/* What a process says to callgrind, under which it runs: see subject.py. Needs valgrind's headers. */
#include <valgrind/callgrind.h>

/* Count from now on, from nothing. */
void mark_begin(void) {
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

/* Write down, under that name, what was counted. */
void mark_end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
