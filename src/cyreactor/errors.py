"""The exceptions that cyreactor raises of its own; everything else is asyncio's or an OSError."""


class FramingError(ValueError):
    """The peer sent bytes that are no message: too long, or not in the framing agreed upon.

    A connection that meets one ends with it: ``connection_lost(exc)`` gets this exception.
    A framer that raised one raises it again on every later call.
    """


class HTTPError(FramingError):
    """The peer sent bytes that are no HTTP message, or one over a limit.

    ``status`` is what a server answers with: 400 malformed, 413 body too large, 414 request line too
    long, 417 an unknown expectation, 431 head too large, 501 unknown transfer coding, 505 unknown
    version.
    """

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


class RESPError(FramingError):
    """The peer sent what is not RESP, or is over a limit; the text is that of Redis where it has one."""


class ReplyError(Exception):
    """An error as a RESP server replies with it: ``ERR unknown command``. A value: it is not raised here."""

    @property
    def code(self) -> str:
        """The first word, which says what kind of error it is: ``ERR``, ``WRONGTYPE``, ``MOVED``."""
        return str(self).partition(" ")[0]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))
