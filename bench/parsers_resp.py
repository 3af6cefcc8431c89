"""RESP: both cores and hiredis, a packet at a time; and the encoders beside what Python makes of them."""

from __future__ import annotations

import hiredis

from cyreactor._compiled import resp as compiled
from cyreactor._compiled import resp_encoding as compiled_encoding
from cyreactor._pure import resp as pure
from cyreactor._pure import resp_encoding as pure_encoding


def wire(*commands):
    return pure_encoding.encode_commands(commands)


# What is parsed: how many messages, and the packets.
COMMANDS = {
    "SET key value, 100 a packet": (100, [wire(*[("SET", f"key:{i:012}", "value") for i in range(100)])]),
    "GET key, 1 a packet": (1, [wire(("GET", "key:000000000001"))]),
    "GET key, 16 a packet": (16, [wire(*[("GET", f"key:{i:012}") for i in range(16)])]),
}
REPLIES = {
    "integers, 100 a packet": (100, [b"".join(b":%d\r\n" % (i * 37) for i in range(100))]),
    "bulk strings of 8 B, 100 a packet": (100, [b"$8\r\nabcdefgh\r\n" * 100]),
    "bulk strings of 4 KiB, 15 a packet": (15, [b"$4096\r\n%b\r\n" % (b"x" * 4096) * 15]),
    "simple strings, 100 a packet": (100, [b"+OK\r\n" * 100]),
    "null, 100 a packet": (100, [b"$-1\r\n" * 100]),
    "errors, 100 a packet": (100, [b"-ERR unknown command\r\n" * 100]),
    "doubles, 100 a packet": (100, [b",3.25\r\n" * 100]),
    "nested arrays, 100 a packet": (
        100,
        [b"*3\r\n:1\r\n*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n*2\r\n:1\r\n*1\r\n:5\r\n" * 100],
    ),
    "maps of 4, 100 a packet": (
        100,
        [(b"%4\r\n" + b"".join(b"$2\r\nk%d\r\n:1\r\n" % i for i in range(4))) * 100],
    ),
    "an array of 1000 bulk strings": (1, [b"*1000\r\n" + b"$5\r\nhello\r\n" * 1000]),
    "an array of 100,000 in 1 piece": (1, [b"*100000\r\n" + b"$5\r\nhello\r\n" * 100_000]),
    "the same in pieces of 1 KiB": (1, [b"*100000\r\n" + b"$5\r\nhello\r\n" * 100_000], 1024),
    "a bulk string of 10 MB in 1 piece": (1, [b"$10000000\r\n" + b"x" * 10_000_000 + b"\r\n"]),
    "the same in pieces of 64 KiB": (1, [b"$10000000\r\n" + b"x" * 10_000_000 + b"\r\n"], 65536),
}


def ours(parser, packets):
    def parse():
        for packet in packets:
            parser.feed(packet)
            for _ in parser:
                pass

    return parse


def theirs(packets):
    nothing = object()
    reader = hiredis.Reader(notEnoughData=nothing)

    def parse():
        for packet in packets:
            reader.feed(packet)
            gets = reader.gets
            while gets() is not nothing:
                pass

    return parse


def parsing(kind, row, operations, packets, size=None):
    if size is not None:
        packets = [packet[i : i + size] for packet in packets for i in range(0, len(packet), size)]
    return row, operations, {
        "compiled": ours(getattr(compiled, kind)(), packets),
        "pure": ours(getattr(pure, kind)(), packets),
        "hiredis": theirs(packets),
    }  # fmt: skip


# What is encoded.
VALUES = {
    "reply: bulk string": lambda core: lambda: core.encode_reply(b"value"),
    "reply: OK": lambda core: lambda: core.encode_reply("OK"),
    "reply: integer": lambda core: lambda: core.encode_reply(12345),
    "reply: null": lambda core: lambda: core.encode_reply(None),
    "reply: array of 10": lambda core: lambda: core.encode_reply([b"value", 5] * 5),
    "replies: 16 bulk strings": lambda core: lambda: core.encode_replies(SIXTEEN),
    "command: SET key value": lambda core: lambda: core.encode_command("SET", b"key:000000000001", b"value"),
}
SIXTEEN = [b"value"] * 16


def encoding(row, make):
    functions = {"compiled": make(compiled_encoding), "pure": make(pure_encoding)}
    if row.startswith("command"):
        functions["hiredis"] = lambda: hiredis.pack_command(("SET", b"key:000000000001", b"value"))
    return row, 1, functions


CASES = [
    *(parsing("CommandParser", row, *case) for row, case in COMMANDS.items()),
    *(parsing("ReplyParser", row, *case) for row, case in REPLIES.items()),
    *(encoding(row, make) for row, make in VALUES.items()),
]
