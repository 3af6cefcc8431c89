"""What is used of asyncio's own event loop beyond its documentation, for the type checker.

At run time a core's ``Loop`` has no base: ``Reactor`` puts asyncio's loop behind it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class EventLoop(asyncio.SelectorEventLoop):
        """asyncio's loop with the private attributes that a core leans on."""

        slow_callback_duration: float
        _csock: socket.socket | None
        _current_handle: asyncio.Handle | None
        _debug: bool
        _ready: deque[Any]
        _stopping: bool
        _thread_id: int | None

        async def _ensure_resolved(self, address: Any, **options: Any) -> list[Any]: ...
        def _ensure_fd_no_transport(self, fd: Any) -> None: ...
        def _write_to_self(self) -> None: ...
        def _check_callback(self, callback: Any, method: str) -> None: ...
        def _check_running(self) -> None: ...
        def _check_closed(self) -> None: ...
        def _check_thread(self) -> None: ...

else:
    EventLoop = object
