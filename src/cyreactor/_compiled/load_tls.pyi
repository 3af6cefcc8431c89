import ssl

from .load import StreamLoad

class TLSLoad(StreamLoad):
    def __init__(
        self, port: int, count: int, request: bytes, answer: int, context: ssl.SSLContext
    ) -> None: ...
