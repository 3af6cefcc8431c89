from typing import Any

class LastHead:
    status: int
    fields: object
    size: int
    head: bytes | None
    def __init__(self) -> None: ...
    def forget(self) -> None: ...

class Exchange:
    transport: Any
    _parser: Any
    _request: Any
    _heads: LastHead
    _since: float
    _stopped: bool
    _late: bool
    _no_more: bool
    _receiving: bool
    _expecting: bool
    _answering: bool
    def messages_ready(self) -> None: ...
    def respond(self, status: int = ..., headers: Any = ..., body: Any = ...) -> None: ...
