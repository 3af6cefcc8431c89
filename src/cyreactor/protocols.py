"""Protocol base classes and their callback grammar.

    connection_made  (data_received | message_received | pause_writing | resume_writing)*
    eof_received?  connection_lost

``resume_writing`` comes after a ``pause_writing``, if the connection lasts.

``connection_lost`` comes exactly once, last, and never from inside another callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal
from typing import Protocol as Structural

from . import framing
from ._typing import M, M_co
from .errors import FramingError
from .limits import MESSAGE_LIMIT

# What a framer returns while the message is incomplete: None may be one.
NOTHING: Any = object()


class Protocol(asyncio.Protocol):
    """Bytes as they come: override ``data_received(data)``. See ``asyncio.Protocol``."""


class BufferedProtocol(asyncio.BufferedProtocol):
    """Bytes into memory of your own: override ``get_buffer(sizehint)`` and ``buffer_updated(nbytes)``."""


class DatagramProtocol(asyncio.DatagramProtocol):
    """Datagrams: override ``datagram_received(data, addr)`` and ``error_received(exc)``.

    On cyreactor's loops a protocol whose class defines ``datagrams_received(arrivals)`` gets that instead
    of ``datagram_received``: once with a list of all the datagrams that one wake-up took, pairs
    ``(data, addr)``, at least one. An error among them is ``error_received`` in its place, between two
    lists; ``close()`` in the callback drops what comes after its list. An exception in it costs that
    list, and is reported to the loop's exception handler.
    """


class AnyFramer(Structural[M_co]):
    """What a framer must have, to write one of your own in Python; ``M_co`` is the type of its messages."""

    def feed(self, data: bytes) -> None:
        """Append bytes of the stream."""

    def next_message(self) -> M_co | None:
        """The next whole message, None while it is incomplete; FramingError where it goes wrong."""

    def frame(self, message: Any) -> bytes:
        """The message as it goes over the wire; ValueError for one that cannot."""


class FramedProtocol(Protocol, Generic[M]):
    """Whole messages: override ``message_received(message)``, answer with ``send_message(message)``.

    For the type checker ``FramedProtocol[M]`` receives messages of type ``M``, which its framer makes.

    A protocol that defines ``messages_received(messages)`` gets that instead, once with a list of all
    the messages that arrived together: one call where there would be many. The list holds at least
    one message, and as many as one read brings; what the callback does affects the next list.

    In the middle of the stream ``receive_raw(count)`` asks for a block that is not framed, as text
    protocols with counted blocks have them. It comes to ``raw_received(data)``, after which messages
    come again.

    On cyreactor's loops the connection reads straight into the framer. On any other asyncio loop the
    same framer is fed by ``data_received``; pause there with the protocol's own ``pause_reading``,
    which keeps the rest of a batch back, as the transport's does here.

    Bytes that are no message end the connection: ``connection_lost`` gets the FramingError (from a
    foreign transport that cannot carry an exception, None).
    """

    transport: Any = None
    _paused = False

    def make_framer(self) -> AnyFramer[M]:
        """The framer of one connection: override this for a framing of your own."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is framed: override make_framer()")

    def message_received(self, message: M, /) -> None:
        """A whole message came."""

    def receive_raw(self, count: int) -> None:
        """Make the next ``count`` bytes of the stream one block for ``raw_received``, whatever they are.

        A larger block than the framer's limit on a message is received in parts: ask for the next one
        in ``raw_received``. Raises ValueError for a negative count and one over that limit.
        """
        self.framer.expect_raw(count)  # type: ignore[attr-defined]  # a framer of one's own may have it too

    def raw_received(self, data: bytes, /) -> None:
        """The block came that ``receive_raw`` asked for."""

    def send_message(self, message: Any) -> None:
        """Frame a message and send it. Raises ValueError where it cannot be framed."""
        if self.transport is None:
            raise RuntimeError("not connected: send_message() works from connection_made() on, and on a "
                               "foreign loop only where connection_made() calls super()")
        self.transport.write(self.framer.frame(message))

    @cached_property
    def framer(self) -> AnyFramer[M]:
        """This connection's framer."""
        return self.make_framer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_sink(self, transport: Any) -> Any:
        """For the connection: what to read into; None for plain ``data_received``."""
        self.transport = transport
        if type(self).data_received is not FramedProtocol.data_received:
            return None
        framer: Any = self.framer
        if not isinstance(framer, framing.Framer):
            return None
        framer.attach(self, transport)
        unchanged = type(framer).frame is framing.Framer.frame
        if unchanged and type(self).send_message is FramedProtocol.send_message:
            self.send_message = framer.send  # type: ignore[method-assign]  # the same in one call less
        return framer

    # --- on other loops, and with framers that are not a core's ---

    def data_received(self, data: bytes) -> None:
        try:
            self.framer.feed(data)
        except FramingError:
            return  # the connection is ending because of it
        self._deliver()

    def _deliver(self) -> None:
        while not self._paused and not (self.transport and self.transport.is_closing()):
            try:
                deliver, received = self._next()
            except FramingError as exc:
                self._fail(exc)
                return
            if received is NOTHING:
                return
            deliver(received)

    def _next(self) -> tuple[Callable[[Any], Any], Any]:
        """A callback and what comes next for it."""
        framer: Any = self.framer
        batches: Callable[[list[Any]], Any] | None = getattr(self, "messages_received", None)
        if isinstance(framer, framing.Framer):
            if framer.expects_raw:
                return self.raw_received, framer.next_message(NOTHING)
            if batches is not None:
                return batches, framer.next_messages() or NOTHING
            return self.message_received, framer.next_message(NOTHING)
        message = framer.next_message()
        if message is None:
            return self.message_received, NOTHING
        return (self.message_received, message) if batches is None else (batches, [message])

    def _fail(self, exc: FramingError) -> None:
        if self.transport is None:
            raise exc
        for name in ("_end", "_force_close"):  # ours flushes first; asyncio's own has only this one
            end = getattr(self.transport, name, None)
            if end is not None:
                end(exc)
                return
        self.transport.abort()

    def pause_reading(self) -> None:
        """No more messages until ``resume_reading``, on any loop."""
        self._paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on, first with the messages that were held back."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
            if getattr(self.framer, "receiver", None) is None:  # else the connection does it
                asyncio.get_running_loop().call_soon(self._deliver)


class BytesProtocol(FramedProtocol[bytes]):
    """What protocols have in common whose messages are bytes."""

    if TYPE_CHECKING:

        def send_message(self, message: bytes | bytearray | memoryview) -> None: ...


class LineProtocol(BytesProtocol):
    """Lines, each without its end (LF, or CR LF), as bytes."""

    max_length: ClassVar[int] = MESSAGE_LIMIT  # bytes of a line, its end not counted

    def make_framer(self) -> AnyFramer[bytes]:
        return framing.LineFramer(self.max_length)


class DelimitedProtocol(BytesProtocol):
    """Messages that end in a delimiter, each without it."""

    delimiter: ClassVar[bytes] = b"\0"
    max_length: ClassVar[int] = MESSAGE_LIMIT  # bytes of a message, the delimiter not counted

    def make_framer(self) -> AnyFramer[bytes]:
        return framing.DelimiterFramer(self.delimiter, self.max_length)


class LengthPrefixedProtocol(BytesProtocol):
    """Messages after their length, an unsigned integer of ``width`` 1, 2, 4 or 8 bytes."""

    width: ClassVar[int] = 4
    byteorder: ClassVar[Literal["big", "little"]] = "big"
    max_length: ClassVar[int] = MESSAGE_LIMIT  # bytes of a message, the prefix not counted

    def make_framer(self) -> AnyFramer[bytes]:
        return framing.LengthPrefixFramer(self.width, self.byteorder, self.max_length)


class NetstringProtocol(BytesProtocol):
    """Netstrings: length in decimal, colon, message, comma."""

    max_length: ClassVar[int] = MESSAGE_LIMIT  # bytes of a message, without what is around it

    def make_framer(self) -> AnyFramer[bytes]:
        return framing.NetstringFramer(self.max_length)


class FixedLengthProtocol(BytesProtocol):
    """Messages of ``size`` bytes each."""

    size: ClassVar[int] = 1

    def make_framer(self) -> AnyFramer[bytes]:
        return framing.FixedLengthFramer(self.size)
