import asyncio
import socket
from collections.abc import Callable
from typing import Any

from .poller import Watcher

class Listener(Watcher):
    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        transport_class: Any,
        server: Any,
        backlog: int,
        name: Any,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
