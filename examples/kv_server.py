"""A small Redis in memory: strings with expiry, RESP 2 and 3. Try it with redis-cli.

    python examples/kv_server.py [--host HOST] [--port PORT]
"""

import argparse
import asyncio
import fnmatch
import itertools
import time

import cyreactor
from cyreactor.resp import ReplyError, RESPProtocol

SETTINGS = {"save": "", "appendonly": "no", "databases": "1", "maxmemory": "0"}
NO_INTEGER = "ERR value is not an integer or out of range"
MANY = float("inf")
LARGE = 64 * 1024  # bytes of replies that are sent before more of them are made

values = {}
deadlines = {}  # of the keys that expire, on time.time()'s clock
numbers = itertools.count(1)


class Connection(RESPProtocol):
    """One client."""

    def __init__(self):
        self.number, self.name, self.quitting = next(numbers), None, False
        self.full = False  # it does not read its replies
        self.replies, self.held = [], []  # replies to send, commands to answer later

    def messages_received(self, commands):
        """All commands of one read: one call, and one piece to send where the replies are small."""
        self.replies = replies = []
        size = 0
        for done, words in enumerate(commands, 1):
            reply = self.answer(words)
            replies.append(reply)
            size += len(reply) if type(reply) is bytes else 0
            if size > LARGE or self.quitting:
                self.send_messages(replies)
                replies.clear()
                size = 0
                if self.quitting:
                    self.transport.close()
                if self.full:
                    self.held = commands[done:]
                if self.full or self.transport.is_closing():
                    return
        self.send_messages(replies)

    def answer(self, words):
        function, least, most = COMMANDS.get(words[0].upper(), UNKNOWN)
        if not least < len(words) <= most + 1:
            return wrong_number(words[0].decode("latin-1").lower())
        words[0] = self
        try:
            return function(*words)
        except ReplyError as error:
            return error

    def speak(self, version):
        """Speak another version of the protocol, from the next reply on."""
        self.send_messages(self.replies)
        self.replies.clear()
        self.framer.version = version

    def pause_writing(self):
        self.full = True
        self.pause_reading()

    def resume_writing(self):
        self.full = False
        held, self.held = self.held, []
        self.messages_received(held)
        if not self.full:
            self.resume_reading()


# --- the store ---


def find(key):
    """The value of a key, None where there is none."""
    if key in deadlines and deadlines[key] <= time.time():
        remove(key)
    return values.get(key)


def alive(key):
    return find(key) is not None


def remove(key):
    deadlines.pop(key, None)
    return values.pop(key, None) is not None


def sweep():
    """Forget what has expired, once a second: perhaps nobody asks for it any more."""
    for key in list(deadlines):
        find(key)
    asyncio.get_running_loop().call_later(1, sweep)


def limit(key, seconds):
    """Let a key expire; 1 where there is one."""
    if alive(key):
        deadlines[key] = time.time() + seconds
        return 1
    return 0


def left(key, scale):
    """Seconds, or parts of them, until a key expires; -1 where it does not, -2 where there is none."""
    if find(key) is None:
        return -2
    return max(0, round((deadlines[key] - time.time()) * scale)) if key in deadlines else -1


def integer(word):
    if len(word) > 20 or not word.removeprefix(b"-").isdigit():
        raise ReplyError(NO_INTEGER)
    return within(int(word))


def within(number):
    if not -(1 << 63) <= number < 1 << 63:
        raise ReplyError(NO_INTEGER)
    return number


def wrong_number(name):
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


# --- the commands: what a function returns, or raises as a ReplyError, is the reply ---


def set_(connection, key, value, *options):
    flags, seconds = parse(options) if options else ((), None)
    former = find(key) if flags else None
    if ("NX" in flags and former is not None) or ("XX" in flags and former is None):
        return former if "GET" in flags else None
    values[key] = value
    if seconds is not None:
        deadlines[key] = time.time() + seconds
    elif deadlines and "KEEPTTL" not in flags:
        deadlines.pop(key, None)
    return former if "GET" in flags else "OK"


def parse(options):
    """The flags among the options of SET, and the seconds to live."""
    flags, seconds = set(), None
    words = iter(options)
    for word in words:
        flag = word.upper().decode("latin-1")
        if flag in ("EX", "PX"):
            seconds = integer(next(words, b"")) / (1 if flag == "EX" else 1000)
            if seconds <= 0:
                raise ReplyError("ERR invalid expire time in 'set' command")
        elif flag in ("NX", "XX", "GET", "KEEPTTL"):
            flags.add(flag)
        else:
            raise ReplyError("ERR syntax error")
    if {"NX", "XX"} <= flags:
        raise ReplyError("ERR syntax error")
    return flags, seconds


def mset(connection, *pairs):
    if len(pairs) % 2:
        raise wrong_number("mset")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        set_(connection, key, value)
    return "OK"


def add(key, step):
    value = find(key)
    number = within((0 if value is None else integer(value)) + step)
    values[key] = b"%d" % number
    return number


def append(connection, key, tail):
    values[key] = (find(key) or b"") + tail
    return len(values[key])


def flush(connection, *options):
    values.clear()
    deadlines.clear()
    return "OK"


def hello(connection, version=b"", *options):
    if version not in (b"", b"2", b"3"):
        raise ReplyError("NOPROTO unsupported protocol version")
    if version:
        connection.speak(int(version))
    about = {b"server": b"cyreactor", b"version": cyreactor.__version__.encode(), b"mode": b"standalone"}
    return about | {b"proto": connection.framer.version, b"id": connection.number, b"modules": []}


def client(connection, action, *arguments):
    if action.upper() == b"SETNAME" and arguments:
        connection.name = arguments[0]
    return {b"ID": connection.number, b"GETNAME": connection.name}.get(action.upper(), "OK")


def select(connection, number):
    if integer(number):
        raise ReplyError("ERR DB index is out of range")
    return "OK"


def config(connection, action, pattern=b"", *more):
    names = fnmatch.filter(SETTINGS, pattern.decode("latin-1")) if action.upper() == b"GET" else []
    return {name.encode(): SETTINGS[name].encode() for name in names}


def quit_(connection):
    connection.quitting = True
    return "OK"


def unknown(connection, *words):
    raise ReplyError("ERR unknown command")


UNKNOWN = (unknown, 0, MANY)
COMMANDS = {  # the function, and how many arguments it takes at least and at most
    b"APPEND": (append, 2, 2),
    b"CLIENT": (client, 1, MANY),
    b"COMMAND": (lambda connection, *words: [], 0, MANY),
    b"CONFIG": (config, 1, MANY),
    b"DBSIZE": (lambda connection: len(values), 0, 0),
    b"DECR": (lambda connection, key: add(key, -1), 1, 1),
    b"DECRBY": (lambda connection, key, step: add(key, -integer(step)), 2, 2),
    b"DEL": (lambda connection, *keys: sum(alive(key) and remove(key) for key in keys), 1, MANY),
    b"ECHO": (lambda connection, text: text, 1, 1),
    b"EXISTS": (lambda connection, *keys: sum(map(alive, keys)), 1, MANY),
    b"EXPIRE": (lambda connection, key, count: limit(key, integer(count)), 2, 2),
    b"FLUSHALL": (flush, 0, 1),
    b"FLUSHDB": (flush, 0, 1),
    b"GET": (lambda connection, key: find(key), 1, 1),
    b"HELLO": (hello, 0, MANY),
    b"INCR": (lambda connection, key: add(key, 1), 1, 1),
    b"INCRBY": (lambda connection, key, step: add(key, integer(step)), 2, 2),
    b"INFO": (lambda connection, *sections: b"# Server\r\nredis_version:7.0.0\r\n", 0, MANY),
    b"KEYS": (lambda connection, glob: fnmatch.filter(filter(alive, list(values)), glob), 1, 1),
    b"MGET": (lambda connection, *keys: [find(key) for key in keys], 1, MANY),
    b"MSET": (mset, 2, MANY),
    b"PERSIST": (lambda connection, key: int(alive(key) and deadlines.pop(key, None) is not None), 1, 1),
    b"PEXPIRE": (lambda connection, key, count: limit(key, integer(count) / 1000), 2, 2),
    b"PING": (lambda connection, text="PONG": text, 0, 1),
    b"PTTL": (lambda connection, key: left(key, 1000), 1, 1),
    b"QUIT": (quit_, 0, 0),
    b"SELECT": (select, 1, 1),
    b"SET": (set_, 2, MANY),
    b"STRLEN": (lambda connection, key: len(find(key) or b""), 1, 1),
    b"TTL": (lambda connection, key: left(key, 1), 1, 1),
    b"TYPE": (lambda connection, key: "string" if alive(key) else "none", 1, 1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379)
    options = parser.parse_args()

    def ready(server):
        sweep()
        host, port, *_ = server.sockets[0].getsockname()
        print(f"serving on {host}:{port}, {cyreactor.backend} core", flush=True)

    try:
        cyreactor.serve(Connection, options.host, options.port, ready=ready)
    except (OSError, OverflowError, ValueError) as exc:
        parser.exit(1, f"kv_server: {exc}\n")


if __name__ == "__main__":
    main()
