"""Every bound and default in one place, with its reason."""

import sys

# One read takes at most this much, one a wake-up: larger reads cost more in memory traffic than
# they save in system calls, and a neighbour waits for each of them.
READ_SIZE = 64 * 1024

# After a read of so many bytes the compiled core has the next one go straight into the object that the
# protocol gets: from here on that costs less than a copy. After one of READ_SIZE the next asks for more,
# which is an eighth less work for bulk data; glibc would map larger objects of their own, page by page.
BULK_READ = 16 * 1024
BULK_SIZE = 120 * 1024

# Datagrams that one wake-up takes, and the bytes of the largest: IP knows none over 64 KiB, Unix
# sockets send up to what net.core.wmem_default says, 208 KiB where nobody changed it.
DATAGRAMS_PER_WAKEUP = 16
DATAGRAM_SIZE = 256 * 1024

# Messages that one wake-up takes where the kernel merges datagrams (UDP_GRO): each may be as many bytes as
# one read of a stream, and 64 datagrams.
MERGED_PER_WAKEUP = 4

# Datagrams that leave as one message, for the kernel to cut (UDP_SEGMENT), and the bytes of them: the most
# that every kernel takes, and what fits into 64 KiB with the headers that are counted there.
SEGMENTS_PER_MESSAGE = 64
SEGMENTED_SIZE = 65_400

# Bytes that a queued datagram counts in the watermarks beside its content.
DATAGRAM_OVERHEAD = 8

# Events taken from the kernel by one poll.
EVENTS_PER_POLL = 1024

# Callbacks that may run between two looks at the kernel while others are ready already: such a look costs as
# much as several of them, and events wait no longer than for this many.
CALLBACKS_PER_POLL = 16

# Connections accepted by one wake-up of a listener: enough to drain a burst, too few to starve
# the connections that are already there.
ACCEPTS_PER_WAKEUP = 64

# Seconds a listener rests when the process or the system is out of descriptors or memory.
ACCEPT_RETRY_DELAY = 1.0

# Seconds between two tries to connect to a Unix socket whose backlog is full: the kernel tells nobody
# when there is room again.
FULL_BACKLOG_DELAY = 0.02

# Bytes waiting to be sent: a protocol is paused above the first and resumed at or below the second.
HIGH_WATER = 64 * 1024
LOW_WATER = HIGH_WATER // 4

# Bytes of one framed message, unless the protocol says otherwise.
MESSAGE_LIMIT = 64 * 1024

# Memory that a message gets because its length was announced; more of it comes as the message does.
ANNOUNCED_ROOM = 1024 * 1024

# A larger limit on a message means this one: sums with it, and ten times it, still fit the machine's word.
LARGEST_LIMIT = sys.maxsize // 16

# A framed message of this many bytes goes out as several pieces in one system call: a smaller one costs
# less to copy together with what is around it (measured on TCP: equal at 12 KiB, a fifth less at 64 KiB).
GATHER_FROM = 16 * 1024

# Bytes of a stream's line, unless its opener says otherwise; asyncio's default. Twice as much may wait
# to be read before the peer is held back.
STREAM_LIMIT = 64 * 1024

# TLS. Bytes of a record, up to which small pieces are put together. And bytes that are encrypted before they
# are handed to the connection: an answer of this size is one send, a larger one does not double in memory.
TLS_RECORD = 16 * 1024
TLS_AT_ONCE = 256 * 1024

# Pieces handed to one sendmsg; Linux refuses more than 1024 (UIO_MAXIOV).
PIECES_PER_SEND = 256

# Bytes offered to one system call where Python copies them all first: PyPy does with views and with several
# pieces, and without sendmsg there is no other way. What the kernel does not take is copied again.
COPIED_AT_ONCE = 256 * 1024
AT_ONCE = sys.maxsize if sys.implementation.name == "cpython" else COPIED_AT_ONCE

# Seconds a poll may block: longer waits are cut, which the caller cannot tell from a wake-up.
LONGEST_WAIT = 24 * 3600.0

# Writes to a closed connection that pass in silence before each one is logged.
LOST_WRITES_BEFORE_WARNING = 5

# Iterations in which a connection's writes had company (each other, or those of other connections that
# became ready with it) after which they are held for the flush, and the most that is remembered of such
# a habit.
COALESCE_AFTER = 2
COALESCE_MEMORY = 4

# Seconds that writes wait for those of other connections: some ten answers leave one after the other, which
# is an eighth to a quarter less work for the server, and nobody notices it.
HOLD_TIME = 100e-6

# Bytes of a callback's answer that wait so: a larger one leaves while it is in the processor's cache.
HELD_SIZE = 16 * 1024

# Bytes in several pieces that leave as one: up to here a copy costs less than to tell the kernel of each
# (measured on TCP: equal at 16 KiB, an eighth less for 16 pieces of 64 bytes).
SENT_AS_ONE = 8 * 1024

# For tests. Iterations without a wait after which a reactor that never comes to rest is given up: a second or
# so. Bytes under way in one direction between two protocols in memory, as in a kernel's buffer.
ITERATIONS_TO_REST = 100_000
LINK_WINDOW = 64 * 1024

# HTTP/1.1, in bytes without line ends: a request line or a field line (what Apache and nginx allow;
# RFC 9112 asks for 8000), a whole head or trailer section, the fields in one, and a chunk's size with
# its extensions, which nobody uses but who wants to hide something.
HTTP_LINE = 8 * 1024
HTTP_HEAD = 64 * 1024
HTTP_HEADERS = 100
HTTP_CHUNK_LINE = 256

# Bytes of a request's body, which anybody may send, and of a response's, which somebody asked for.
REQUEST_BODY = 1024 * 1024
RESPONSE_BODY = 64 * 1024 * 1024

# Digits of a Content-Length: the most that surely fit into a signed 64-bit integer.
LENGTH_DIGITS = 18

# RESP. Bytes of one command or reply as it goes over the wire: values of some megabytes are common, and
# this much may wait on each connection.
RESP_MESSAGE_LIMIT = 16 * 1024 * 1024

# Elements of one command or reply, those of what is nested included, as Redis bounds its commands: an
# empty array takes 4 bytes on the wire and 20 times as many here.
RESP_ELEMENTS = 1024 * 1024

# Containers around an element: what Redis itself sends has less than ten.
RESP_DEPTH = 64

# Bytes of an inline command and of every other line of text: what Redis takes.
RESP_LINE_LIMIT = 64 * 1024

# Bytes of a line that is a length, an integer or a boolean, its ends counted: a sign and 19 digits fit.
RESP_HEADER_LIMIT = 32

# Digits of a big number: where Python itself stops by default, because converting them is quadratic.
RESP_DIGITS = 4300


def watermarks(high: int | None, low: int | None) -> tuple[int, int]:
    """The watermarks of a transport, low and high, where either may be left to the other.

    Raises ValueError as asyncio's transports do.
    """
    if high is None:
        high = HIGH_WATER if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return int(low), int(high)


def bounded(name: str, value: int, least: int, most: int) -> int:
    """The value of a limit. Raises ValueError for one that is no integer within the two."""
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be an integer from {least} to {most}, not {value!r}")
    return value

# --- HTTP servers, in seconds; each is a class attribute of HTTPProtocol too ---

# From the first byte of a request to the end of its head: a head is one packet, or a few, and a
# client that sends it drop by drop holds a connection and nothing else.
HEAD_TIMEOUT = 20.0

# Between two requests, and before the first. An idle connection costs about a kilobyte, and opening
# another one costs the client a round trip: browsers keep theirs for a minute or more.
KEEP_ALIVE_TIMEOUT = 75.0

# Without a byte of a body that is on its way: the outage of a mobile client is over by then.
BODY_TIMEOUT = 30.0

# Without a byte taken by a client that is being sent an answer.
SEND_TIMEOUT = 60.0

# After an answer that ends a connection whose client is still sending: it must be able to read the
# answer, which a reset would discard, and then notice the end of the stream.
LINGER_TIMEOUT = 5.0
LINGER_BYTES = 4 * 1024 * 1024

# How often within its shortest timeout a connection is looked at: a timeout is noticed to begin, and to
# be over, at such a look, so it may be late by half of the shortest.
SWEEPS_PER_TIMEOUT = 4

# Bytes of further requests that may wait behind one that is not answered yet: enough for a pipeline
# of ordinary requests. A connection with more is not read from until the answer is there.
BYTES_AHEAD = 64 * 1024

# Heads of responses, and groups of header fields, that are kept rendered, and the bytes of one.
HEADS_REMEMBERED = 256
HEAD_REMEMBERED = 2048

# --- the file server, in bytes ---

# A file that is read as a whole, and may be kept in memory; a larger one is sent by the kernel.
CACHED_FILE = 64 * 1024
CACHED_BYTES = 16 * 1024 * 1024

# Of a large file, what the kernel is given in one call if it takes it at once: a tenth of a millisecond.
SENT_AT_ONCE = 1024 * 1024

# And what is sent, as the client takes it, before the connection counts as alive: a modem's half a minute.
SENDFILE_SLICE = 256 * 1024

# Names that the page about a directory shows: it is made on the loop, in memory.
LISTED_NAMES = 10_000
