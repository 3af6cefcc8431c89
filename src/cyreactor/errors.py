"""The exceptions that cyreactor raises of its own; everything else is asyncio's or an OSError."""


class FramingError(ValueError):
    """The peer sent bytes that are no message: too long, or not in the framing agreed upon.

    A connection that meets one ends with it: ``connection_lost(exc)`` gets this exception.
    A framer that raised one raises it again on every later call.
    """
