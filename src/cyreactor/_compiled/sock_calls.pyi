import socket
from typing import Any

from .loop import Loop

async def sock_recv(self: Loop, sock: socket.socket, n: int) -> bytes: ...
async def sock_sendall(self: Loop, sock: socket.socket, data: Any) -> None: ...
