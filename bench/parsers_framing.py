"""Framers: a packet of messages is fed and iterated over, on both cores."""

from __future__ import annotations

from cyreactor._compiled import framing as compiled
from cyreactor._pure import framing as pure

FRAMERS = {
    "line": lambda core: core.LineFramer(),
    "delimiter": lambda core: core.DelimiterFramer(b"\r\n\r\n"),
    "length-prefixed": lambda core: core.LengthPrefixFramer(4),
    "netstring": lambda core: core.NetstringFramer(),
    "fixed": lambda core: core.FixedLengthFramer(64),
}


def fed(framer, packets):
    def parse():
        for packet in packets:
            framer.feed(packet)
            for _ in framer:
                pass

    return parse


def batched(framer, packets):
    def parse():
        for packet in packets:
            framer.feed(packet)
            framer.next_messages()

    return parse


def case(name, row, operations, packets, run=fed):
    return row, operations, {
        label: run(FRAMERS[name](core), packets(FRAMERS[name](core)))
        for label, core in (("compiled", compiled), ("pure", pure))
    }


def cut(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


CASES = [
    *(
        case(name, f"{name}, 64 B, 100 a packet", 100, lambda framer: [framer.frame(b"x" * 64) * 100])
        for name in FRAMERS
    ),
    case("line", "line, 64 B, next_messages", 100, lambda framer: [framer.frame(b"x" * 64) * 100], batched),
    case("line", "line, 60 KB in 1 piece", 1, lambda framer: [framer.frame(b"x" * 60_000)]),
    case("line", "line, 60 KB in 16 pieces", 1, lambda framer: cut(framer.frame(b"x" * 60_000), 3751)),
]
