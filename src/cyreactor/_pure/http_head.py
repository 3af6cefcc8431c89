"""The heads of HTTP/1.1 messages (RFC 9110, RFC 9112): fields, and what they say of the message.

Which fields matter to the framing is decided here, field by field as the lines come; anything that two
parsers could read in two ways is refused, because that is what request smuggling lives on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, overload

from .. import _faults as faults
from .._typing import D
from ..errors import HTTPError
from ..limits import LENGTH_DIGITS
from .http_lines import FIELD_VALUE, HOST, NAME, options


class Headers(Sequence[tuple[bytes, bytes]]):
    """Fields in their order, as pairs of bytes: the name as it was sent, the value without the
    whitespace around it. Looking up by name ignores case; ``name in headers`` asks for a name.

    ``Headers(pairs)`` raises ValueError for a name or a value that cannot be sent.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        for name, value in pairs:
            name, value = bytes(name), bytes(value)
            if not NAME.fullmatch(name):
                raise ValueError(f"a field's name must be a token, not {name!r}")
            if not FIELD_VALUE.fullmatch(value) or value.strip(b" \t") != value:
                raise ValueError(f"a field's value must not contain controls nor end in blanks: {value!r}")
            self._pairs.append((name, value))

    @overload
    def get(self, name: bytes | str) -> bytes | None: ...
    @overload
    def get(self, name: bytes | str, default: D) -> bytes | D: ...
    def get(self, name: bytes | str, default: Any = None) -> Any:
        """The value of the first field of that name; ``default`` where there is none."""
        wanted = _name(name)
        for key, value in self._pairs:
            if len(key) == len(wanted) and key.lower() == wanted:
                return value
        return default

    def get_all(self, name: bytes | str) -> list[bytes]:
        """The values of all fields of that name, in order."""
        wanted = _name(name)
        return [value for key, value in self._pairs if key.lower() == wanted]

    def __contains__(self, name: object) -> bool:
        return self.get(name, self) is not self  # type: ignore[call-overload]

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, bytes]]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._pairs[index]

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Headers, list, tuple)):
            return NotImplemented
        return self._pairs == list(other)

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"

    def _add(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name, value))


NO_HEADERS = Headers()


def _name(name: bytes | str) -> bytes:
    if isinstance(name, str):
        return name.encode("latin-1", "replace").lower()
    if isinstance(name, bytes):
        return name.lower()
    raise TypeError(f"a field's name is bytes or str, not {type(name).__name__!r}")


class Message:
    """What requests and responses have in common. Parsers make them; nobody else needs to."""

    __slots__ = ("_options", "body", "chunked", "content_length", "headers", "trailers", "version")

    def __init__(self, minor: int) -> None:
        self.version: tuple[int, int] = (1, minor)
        self.headers: Headers = Headers()
        self.trailers: Headers = NO_HEADERS  # after a chunked body; where it is not streamed
        self.body: bytes = b""
        self.content_length: int | None = None
        self.chunked: bool = False  # as the head says, also where there is no body
        self._options: frozenset[bytes] = frozenset()  # of Connection, lower case

    @property
    def keep_alive(self) -> bool:
        """Whether another message may follow on the connection (RFC 9112, 9.3)."""
        if b"close" in self._options:
            return False
        return self.version[1] >= 1 or b"keep-alive" in self._options

    @property
    def upgrade(self) -> str | None:
        """The Upgrade field, where Connection lists it too; None in HTTP/1.0 (RFC 9110, 7.8)."""
        if b"upgrade" not in self._options or self.version[1] < 1:
            return None
        return b", ".join(self.headers.get_all(b"upgrade")).decode("latin-1") or None

    # --- while the head is parsed ---

    def _take_field(self, name: bytes, value: bytes) -> None:
        """A field came: keep it, and what it says. Raises HTTPError."""
        self.headers._add(name, value)
        take = TAKEN.get(name.lower())
        if take is not None:
            take(self, value)

    def _take_connection(self, value: bytes) -> None:
        self._options = self._options.union(options(value))

    def _take_length(self, value: bytes) -> None:
        if self.content_length is not None:
            raise HTTPError("Content-Length is repeated")
        if self.chunked:
            raise HTTPError("both Content-Length and Transfer-Encoding")
        if not (value.isdigit() and value.isascii()):
            raise HTTPError("Content-Length is not a decimal number")
        if len(value) > LENGTH_DIGITS:
            raise HTTPError("Content-Length is beyond all bounds", 413)
        self.content_length = int(value)

    def _take_coding(self, value: bytes) -> None:
        if self.version[1] < 1:
            raise HTTPError("Transfer-Encoding in HTTP/1.0")
        if self.chunked:
            raise HTTPError("Transfer-Encoding is repeated")
        if self.content_length is not None:
            raise HTTPError("both Content-Length and Transfer-Encoding")
        if value.lower() != b"chunked":
            raise faults.transfer_encoding(value)
        self.chunked = True

    def _take_host(self, value: bytes) -> None:
        """It says something of requests only, as does Expect."""

    def _take_expect(self, value: bytes) -> None:
        pass

    def _take_end(self) -> None:
        """The head ended. Raises HTTPError for what is missing."""


# The fields that say something of the message, by their names in lower case.
TAKEN: dict[bytes, Callable[[Any, bytes], None]] = {
    b"connection": lambda message, value: message._take_connection(value),
    b"content-length": lambda message, value: message._take_length(value),
    b"transfer-encoding": lambda message, value: message._take_coding(value),
    b"host": lambda message, value: message._take_host(value),
    b"expect": lambda message, value: message._take_expect(value),
}


class Request(Message):
    """A request: ``method`` and ``target`` as they were sent."""

    __slots__ = ("_continue", "_host", "method", "target")

    def __init__(self, method: bytes, target: bytes, minor: int) -> None:
        super().__init__(minor)
        self.method: str = method.decode("ascii")
        self.target: str = target.decode("ascii")
        self._host = False
        self._continue = False
        if not target.startswith(b"/") or self.method == "CONNECT":
            fault = faults.target(self.method, target)
            if fault is not None:
                raise fault

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 (Continue) before it sends the body (RFC 9110, 10.1.1)."""
        return self._continue and (self.chunked or bool(self.content_length))

    @property
    def ordinary(self) -> bool:
        """Whether the framing of an answer depends on nothing but the answer: HTTP/1.1, on a
        connection that goes on, and neither HEAD nor CONNECT."""
        return self.version[1] >= 1 and self.keep_alive and self.method not in ("HEAD", "CONNECT")

    def _take_host(self, value: bytes) -> None:
        if self._host:
            raise HTTPError("Host is repeated")
        if not HOST.fullmatch(value):
            raise HTTPError("Host is not a host's name")
        self._host = True

    def _take_expect(self, value: bytes) -> None:
        if self.version[1] < 1:
            return  # to be ignored (RFC 9110, 10.1.1)
        if value.lower() != b"100-continue":
            raise HTTPError("nothing but 100-continue can be expected", 417)
        self._continue = True

    def _take_end(self) -> None:
        if not self._host and self.version[1] >= 1:
            raise HTTPError("Host is missing")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class Response(Message):
    """A response: ``status`` and ``reason`` as they were sent."""

    __slots__ = ("_endless", "_tunnel", "reason", "status")

    def __init__(self, minor: int, status: bytes, reason: bytes | None) -> None:
        super().__init__(minor)
        self.status: int = int(status)
        self.reason: bytes = reason or b""
        self._tunnel = False  # another protocol follows it
        self._endless = False  # its body lasts until the end of the connection

    @property
    def keep_alive(self) -> bool:
        """Whether another message may follow on the connection (RFC 9112, 9.3)."""
        return self.status < 200 or (not self._endless and super().keep_alive)

    def __repr__(self) -> str:
        return f"<Response {self.status}>"
