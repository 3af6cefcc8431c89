"""A framing of one's own: records of type, length, value and checksum; a server of them and a client.

    python examples/custom_framer.py [--host HOST] [--port PORT] [--send TEXT ...]

It serves; with ``--send`` it asks a server that runs already.
"""

import argparse
import socket
import struct
import time
import zlib
from typing import NamedTuple

import cyreactor

ECHO, TIME, UNKNOWN = 1, 2, 255  # types of records


class Record(NamedTuple):
    type: int
    value: bytes = b""


class RecordFramer:
    """A byte of type, four of length, the value, and four of CRC-32 over all that. It does no I/O."""

    head, checksum = struct.Struct("!BI"), struct.Struct("!I")
    max_length = 64 * 1024  # bytes of a value

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data

    def next_message(self):
        """The next whole record; None while it is incomplete."""
        if len(self.data) < self.head.size:
            return None
        kind, length = self.head.unpack_from(self.data)
        if length > self.max_length:  # says so now, not once all of it has come
            raise cyreactor.FramingError(f"a record of {length} bytes, more than {self.max_length}")
        end = self.head.size + length
        if len(self.data) < end + self.checksum.size:
            return None
        if self.checksum.unpack_from(self.data, end) != (zlib.crc32(self.data[:end]),):
            raise cyreactor.FramingError("a record with a wrong checksum")
        record = Record(kind, bytes(self.data[self.head.size : end]))
        del self.data[: end + self.checksum.size]
        return record

    def frame(self, record):
        """The record as it goes over the wire."""
        if len(record.value) > self.max_length:
            raise ValueError(f"a record of {len(record.value)} bytes, more than {self.max_length}")
        body = self.head.pack(record.type, len(record.value)) + record.value
        return body + self.checksum.pack(zlib.crc32(body))


class Server(cyreactor.FramedProtocol[Record]):
    """Answers records. One that is broken ends the connection: nobody knows where the next one starts."""

    def make_framer(self):
        return RecordFramer()

    def message_received(self, record):
        if record.type == ECHO:
            self.send_message(record)
        elif record.type == TIME:
            self.send_message(Record(TIME, time.ctime().encode()))
        else:
            self.send_message(Record(UNKNOWN))

    def pause_writing(self):
        self.pause_reading()  # the protocol's, not the transport's: it keeps back records that are here, too

    def resume_writing(self):
        self.resume_reading()

    def connection_lost(self, exc):
        if isinstance(exc, cyreactor.FramingError):
            print(f"hung up on {exc}", flush=True)


def ask(host, port, records):
    """The answer to each record. A framer needs no loop: this is a client on a blocking socket."""
    framer = RecordFramer()
    with socket.create_connection((host, port), timeout=10) as sock:
        for record in records:
            sock.sendall(framer.frame(record))
            while (answer := framer.next_message()) is None:
                data = sock.recv(64 * 1024)
                if not data:
                    raise ConnectionError("the server hung up")
                framer.feed(data)
            yield answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--send", metavar="TEXT", nargs="+", help="send each, then ask for the time")
    options = parser.parse_args()

    def ready(server):
        host, port, *_ = server.sockets[0].getsockname()
        print(f"serving on {host}:{port}, {cyreactor.backend} core", flush=True)

    try:
        if options.send is None:
            cyreactor.serve(Server, options.host, options.port, ready=ready)
        else:
            records = [*(Record(ECHO, text.encode()) for text in options.send), Record(TIME)]
            for answer in ask(options.host, options.port, records):
                print(answer.value.decode(errors="replace"))
    except (OSError, OverflowError, ValueError) as exc:  # no such address, or no record
        parser.exit(1, f"custom_framer: {exc}\n")


if __name__ == "__main__":
    main()
