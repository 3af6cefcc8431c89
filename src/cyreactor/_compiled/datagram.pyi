import asyncio
import socket
from typing import Any

from .endpoint import Endpoint

class Datagram(Endpoint, asyncio.DatagramTransport):
    def __init__(self, loop: Any, sock: socket.socket, protocol: Any, address: Any = None) -> None: ...
    @property
    def _address(self) -> Any: ...
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None: ...
