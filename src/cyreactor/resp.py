"""RESP, the protocol of Redis, in versions 2 and 3: parsers without I/O, encoders, a protocol class.

    class Store(resp.RESPProtocol):
        def message_received(self, command):        # a list of bytes
            self.send_message(ReplyError("ERR unknown command"))

A client sets ``client = True``: it sends commands (``send_message(["GET", "key"])``) and receives
replies as Python values. The types are told in ``ReplyParser`` and ``encode_reply``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._backend import resp as _core
from ._backend import resp_encoding as _encoding
from ._resp import Push, Verbatim
from .errors import FramingError, ReplyError, RESPError
from .limits import RESP_ELEMENTS, RESP_MESSAGE_LIMIT
from .protocols import AnyFramer, FramedProtocol

CommandParser = _core.CommandParser
ReplyParser = _core.ReplyParser
if TYPE_CHECKING:
    from ._pure.resp_encoding import encode_command, encode_commands, encode_replies, encode_reply
else:
    encode_command = _encoding.encode_command
    encode_commands = _encoding.encode_commands
    encode_replies = _encoding.encode_replies
    encode_reply = _encoding.encode_reply


class RESPProtocol(FramedProtocol):
    """Commands for a server, or replies for a client: override ``message_received(message)``.

    A reply may be None. Define ``messages_received(messages)`` to get all that one read brought in
    one call, and answer it with ``send_messages``: one call, one piece to send. ``framer.version`` is
    the version that a server's replies are in, 2 until it sets 3.
    """

    client: ClassVar[bool] = False  # whether this is the client's side
    max_length: ClassVar[int] = RESP_MESSAGE_LIMIT  # bytes of a command or reply, everything counted
    max_elements: ClassVar[int] = RESP_ELEMENTS  # in one command or reply

    framer: Any

    def make_framer(self) -> AnyFramer:
        parser = ReplyParser if self.client else CommandParser
        return parser(self.max_length, self.max_elements)

    def send_messages(self, messages: list[Any]) -> None:
        """Send several replies or commands as one piece."""
        self.transport.write(self.framer.frame_all(messages))

    def get_sink(self, transport: Any) -> Any:
        sink = super().get_sink(transport)
        if sink is not None and type(self).send_message is FramedProtocol.send_message:
            self.send_message = sink.send  # type: ignore[method-assign]  # the same in one call less
        if sink is not None and type(self).send_messages is RESPProtocol.send_messages:
            self.send_messages = sink.send_all  # type: ignore[method-assign]
        return sink

    # --- on other loops ---

    def _fail(self, exc: FramingError) -> None:
        if self.transport is not None and not self.client:
            self.transport.write(encode_reply(exc))
        super()._fail(exc)


__all__ = [
    "CommandParser",
    "Push",
    "RESPError",
    "RESPProtocol",
    "ReplyError",
    "ReplyParser",
    "Verbatim",
    "encode_command",
    "encode_commands",
    "encode_replies",
    "encode_reply",
]
