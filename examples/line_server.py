"""Counters: a protocol of lines, where one line may have many answers. Try it with nc.

    python examples/line_server.py [--host HOST] [--port PORT]

``add apples 3`` counts, ``get apples pears`` answers with a line for each, ``list`` with all and a dot,
``drop apples`` forgets.
"""

import argparse
from collections import deque

import cyreactor

MANY = 500  # lines of answers that are sent before more of them are made
MOST_COUNTERS = 10_000
LONGEST_NAME = 40
COMMANDS = "error: the commands are add NAME [NUMBER], get NAME..., list, drop NAME"

counters = {}


class Connection(cyreactor.LineProtocol):
    """One client."""

    max_length = 1000  # bytes of a line: a longer one ends the connection

    def __init__(self):
        self.full = False  # the client does not read its answers
        self.waiting = deque()  # lines to answer

    def messages_received(self, lines):
        """All lines of one read: one call, where ``message_received(line)`` would be called for each."""
        self.waiting.extend(lines)
        self.answer_waiting()

    def answer_waiting(self):
        while self.waiting and not self.full and not self.transport.is_closing():
            answers = []
            while self.waiting and len(answers) < MANY:
                answers += answer(self.waiting.popleft())
            self.transport.write("".join(f"{text}\n" for text in answers).encode())

    def pause_writing(self):
        """Short lines may ask for much: answering them to a client that does not read would fill memory."""
        self.full = True
        self.pause_reading()

    def resume_writing(self):
        self.full = False
        self.answer_waiting()
        if not self.full:
            self.resume_reading()


def answer(line):
    """What a line is answered with: any number of lines."""
    try:
        match line.decode().split():
            case []:
                return []
            case ["add", name]:
                return [add(name, 1)]
            case ["add", name, number]:
                return [add(name, int(number))]
            case ["get", name, *others]:
                return [counters.get(name, 0) for name in (name, *others)]
            case ["list"]:
                return [*(f"{name} {counters[name]}" for name in sorted(counters)), "."]
            case ["drop", name]:
                return [counters.pop(name, 0)]
            case _:
                return [COMMANDS]
    except ValueError as error:  # no number, or no text
        return [f"error: {error}"]


def add(name, number):
    if not name.isidentifier() or len(name) > LONGEST_NAME:
        raise ValueError(f"a name has up to {LONGEST_NAME} letters, digits and underscores")
    if name not in counters and len(counters) == MOST_COUNTERS:
        raise ValueError("too many counters")
    counters[name] = counters.get(name, 0) + number
    return counters[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()

    def ready(server):
        host, port, *_ = server.sockets[0].getsockname()
        print(f"serving on {host}:{port}, {cyreactor.backend} core", flush=True)

    try:
        cyreactor.serve(Connection, options.host, options.port, ready=ready)
    except (OSError, OverflowError, ValueError) as exc:
        parser.exit(1, f"line_server: {exc}\n")


if __name__ == "__main__":
    main()
