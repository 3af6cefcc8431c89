"""asyncio's own tests that cannot apply to another loop, each with its reason.

They are run all the same: one that passes has to leave this list, unless it is in MAY_PASS for its reason.
What only differs from asyncio does not belong here, it is to be repaired.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

OWN_EPOLL = "the compiled core has its own epoll: it takes no other selector"
OWN_SCHEDULE = "looks for the handle in the private queue of asyncio's scheduler"
MOCK_SELECTOR = "feeds the loop by a mocked selector, which nobody asks"
MOCK_SOCKET = "a mocked socket has no descriptor that could be watched"
MOCK_WAKER = "mocks what wakes the loop; asyncio's would spin on a mocked selector instead of waiting"
RACE = "mocks what wakes the loop, and passes where other threads are done before the loop waits for them"
PRIVATE = "in some releases it looks into asyncio's own transport, and passes in the others"
MAY_PASS = (RACE, PRIVATE)
ABSTRACT = "tests the abstract BaseEventLoop's lack of an implementation"

BASE = "test_base_events.BaseEventLoopTests"
SOCKETS = "test_base_events.BaseEventLoopWithSelectorTests.test"

# (the core, or "" for both; the test's name, with * for any part of it; the reason)
TESTS = [
    ("compiled", "test_*.PollEventLoopTests.*", OWN_EPOLL),
    ("compiled", "test_*.SelectEventLoopTests.*", OWN_EPOLL),
    ("compiled", f"{BASE}.test__add_callback_handle", OWN_SCHEDULE),
    ("compiled", f"{BASE}.test_call_soon", OWN_SCHEDULE),
    ("", f"{BASE}.test_call_later", OWN_SCHEDULE),
    ("", f"{BASE}.test__run_once_cancelled_event_cleanup", OWN_SCHEDULE),
    ("", f"{BASE}.test__run_once", MOCK_SELECTOR),
    ("", f"{BASE}.test__run_once_schedule_handle", MOCK_SELECTOR),
    ("", f"{BASE}.test_run_forever_pre_stopped", MOCK_SELECTOR),
    ("", f"{BASE}.test_single_selecter_event_callback_after_stopping", MOCK_SELECTOR),
    ("", f"{BASE}.test_custom_run_forever_integration", MOCK_SELECTOR),
    ("", f"{BASE}.test_not_implemented", ABSTRACT),
    ("pure", f"{BASE}.test_check_thread", MOCK_WAKER),
    ("pure", f"{BASE}.test_asyncgen_finalization_by_gc_in_other_thread", RACE),
    ("pure", f"{BASE}.test_shutdown_default_executor_timeout", RACE),
    ("pure", f"{BASE}.test_create_connection_happy_eyeballs", MOCK_SOCKET),
    ("pure", f"{BASE}.test_create_connection_happy_eyeballs_ipv4_only", MOCK_SOCKET),
    ("pure", f"{SOCKETS}_create_connection_ip_addr", MOCK_SOCKET),
    ("pure", f"{SOCKETS}_create_connection_ipv6_scope", MOCK_SOCKET),
    ("pure", f"{SOCKETS}_create_connection_no_inet_pton", MOCK_SOCKET),
    ("pure", f"{SOCKETS}_create_connection_service_name", MOCK_SOCKET),
    ("compiled", f"{SOCKETS}_create_server_soreuseport_only_defined", MOCK_SOCKET),
]

if sys.version_info >= (3, 14):
    TESTS.append(("", "test_ssl.TestSSL.test_remote_shutdown_receives_trailing_data_on_slow_socket", PRIVATE))


def reason(core: str, test: str) -> str:
    """Why a test cannot apply; empty where it can."""
    for only, pattern, why in TESTS:
        if only in ("", core) and fnmatchcase(test, pattern):
            return why
    return ""
