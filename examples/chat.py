"""A chat: one room for all who come, line by line. Try it with two or three terminals and nc.

    python examples/chat.py [--host HOST] [--port PORT] [--patience SECONDS]

A guest who does not read costs no more than 64 KiB: it misses what is said meanwhile, and is shown the
door when that goes on for too long.
"""

import argparse
import asyncio

import cyreactor

LONGEST_NAME = 20

guests = {}  # by name, those who have one


class Guest(cyreactor.LineProtocol):
    """One connection; its first line is its name."""

    max_length = 1000  # bytes of a line: a longer one ends the connection
    patience = 10.0  # seconds that it may leave unread what it was sent

    def __init__(self):
        self.name = None
        self.deadline = None  # the timer that runs while it does not read
        self.missed = 0

    def connection_made(self, transport):
        super().connection_made(transport)
        self.tell("* your name?")

    def message_received(self, line):
        text = "".join(filter(str.isprintable, line.decode(errors="replace")))  # no tricks with terminals
        if self.name is None:
            self.enter(text.strip())
            return
        match text.partition(" "):
            case "/me", _, action:
                tell_all(f"* {self.name} {action}")
            case "/who", _, _:
                self.tell("* here are " + ", ".join(sorted(guests)))
            case "/quit", _, _:
                self.tell("* goodbye")
                self.transport.close()
            case word, _, _ if word.startswith("/"):
                self.tell(f"* {word} is none of /me, /who and /quit")
            case _ if text:
                tell_all(f"{self.name}: {text}")

    def enter(self, name):
        if not name.isidentifier() or len(name) > LONGEST_NAME or name in guests:
            self.tell(f"* please another name: one word, {LONGEST_NAME} letters at most, nobody else's")
            return
        self.name = name
        guests[name] = self
        tell_all(f"* {name} came")

    def tell(self, text):
        """Send a line, unless there is no room for it."""
        if self.deadline is not None:
            self.missed += 1
        elif not self.transport.is_closing():
            self.send_message(text.encode())

    def pause_writing(self):
        self.pause_reading()  # who does not listen does not speak
        self.deadline = asyncio.get_running_loop().call_later(self.patience, self.transport.abort)

    def resume_writing(self):
        self.deadline.cancel()
        self.deadline = None
        missed, self.missed = self.missed, 0
        if missed:
            self.tell(f"* you missed {missed} lines")
        self.resume_reading()

    def connection_lost(self, exc):
        if self.deadline is not None:
            self.deadline.cancel()
        if self.name is not None:
            del guests[self.name]
            tell_all(f"* {self.name} left" + (f": {exc}" if exc else ""))


def tell_all(text):
    for guest in guests.values():
        guest.tell(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--patience", metavar="SECONDS", type=float, default=Guest.patience)
    options = parser.parse_args()
    if not options.patience > 0:
        parser.error("argument --patience: it takes more than no seconds")
    Guest.patience = options.patience

    def ready(server):
        host, port, *_ = server.sockets[0].getsockname()
        print(f"serving on {host}:{port}, {cyreactor.backend} core", flush=True)

    try:
        cyreactor.serve(Guest, options.host, options.port, ready=ready)
    except (OSError, OverflowError, ValueError) as exc:
        parser.exit(1, f"chat: {exc}\n")


if __name__ == "__main__":
    main()
