"""A small Redis in memory: strings with expiry, RESP 2 and 3. Try it with redis-cli.

    python examples/kv_server.py [--host HOST] [--port PORT]
"""

import argparse
import asyncio
import fnmatch
import inspect
import itertools
import time

import cyreactor
from cyreactor.resp import ReplyError, RESPProtocol

SYNTAX = ReplyError("ERR syntax error")
NOT_AN_INTEGER = ReplyError("ERR value is not an integer or out of range")
INVALID_EXPIRE = ReplyError("ERR invalid expire time in 'set' command")
SETTINGS = {"save": "", "appendonly": "no", "databases": "1", "maxmemory": "0"}

values = {}
deadlines = {}  # of the keys that expire, on time.time()'s clock
numbers = itertools.count(1)


class Connection(RESPProtocol):
    """One client."""

    def __init__(self):
        self.number, self.name, self.quitting, self.replies = next(numbers), b"", False, []

    def messages_received(self, commands):
        """All commands of one read: one call, and one piece to send."""
        self.replies = replies = []
        for words in commands:
            replies.append(self.answer(words))
            if self.quitting:
                break
        self.send_messages(replies)
        if self.quitting:
            self.transport.close()

    def answer(self, words):
        function, least, most = COMMANDS.get(words[0].upper(), UNKNOWN)
        if not least <= len(words) <= most:
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

    def pause_writing(self):  # who does not read replies gets no more
        self.pause_reading()

    def resume_writing(self):
        self.resume_reading()


class Commands:
    """A function a command: what it returns, or raises as a ReplyError, is the reply."""

    def get(connection, key):
        return find(key)

    def set(connection, key, value, *options):
        flags, seconds = parse_set(options) if options else ((), None)
        former = find(key) if flags else None
        if ("NX" not in flags or former is None) and ("XX" not in flags or former is not None):
            values[key] = value
            if seconds is not None:
                deadlines[key] = time.time() + seconds
            elif deadlines and "KEEPTTL" not in flags:
                deadlines.pop(key, None)
            return former if "GET" in flags else "OK"
        return former if "GET" in flags else None

    def mget(connection, key, *keys):
        return [find(each) for each in (key, *keys)]

    def mset(connection, key, value, *pairs):
        if len(pairs) % 2:
            raise wrong_number("mset")
        for each, its_value in ((key, value), *zip(pairs[::2], pairs[1::2], strict=True)):
            Commands.set(connection, each, its_value)
        return "OK"

    def del_(connection, key, *keys):
        return sum(find(each) is not None and remove(each) for each in (key, *keys))

    def exists(connection, key, *keys):
        return sum(find(each) is not None for each in (key, *keys))

    def type(connection, key):
        return "none" if find(key) is None else "string"

    def keys(connection, pattern):
        return fnmatch.filter([key for key in list(values) if find(key) is not None], pattern)

    def incrby(connection, key, step):
        digits = b"%d" % (integer(find(key) or b"0") + integer(step))
        number = integer(digits)
        values[key] = digits
        return number

    def incr(connection, key):
        return Commands.incrby(connection, key, b"1")

    def decr(connection, key):
        return Commands.incrby(connection, key, b"-1")

    def append(connection, key, tail):
        values[key] = (find(key) or b"") + tail
        return len(values[key])

    def strlen(connection, key):
        return len(find(key) or b"")

    def expire(connection, key, seconds):
        return limit(key, integer(seconds))

    def pexpire(connection, key, milliseconds):
        return limit(key, integer(milliseconds) / 1000)

    def ttl(connection, key):
        seconds = left(key)
        return seconds if seconds < 0 else round(seconds)

    def pttl(connection, key):
        seconds = left(key)
        return seconds if seconds < 0 else round(seconds * 1000)

    def persist(connection, key):
        return int(find(key) is not None and deadlines.pop(key, None) is not None)

    def dbsize(connection):
        return len(values)

    def flushall(connection, *options):
        values.clear()
        deadlines.clear()
        return "OK"

    flushdb = flushall

    def ping(connection, text="PONG"):
        return text

    def echo(connection, text):
        return text

    def quit(connection):
        connection.quitting = True
        return "OK"

    def hello(connection, version=b"", *options):
        if version not in (b"", b"2", b"3"):
            raise ReplyError("NOPROTO unsupported protocol version")
        if version:
            connection.speak(int(version))
        about = {"server": "cyreactor", "version": cyreactor.__version__, "proto": connection.framer.version}
        return about | {"id": connection.number, "mode": "standalone", "role": "master", "modules": []}

    def client(connection, action, *arguments):
        if action.upper() == b"SETNAME" and arguments:
            connection.name = arguments[0]
        return {b"ID": connection.number, b"GETNAME": connection.name or None}.get(action.upper(), "OK")

    def select(connection, number):
        if integer(number):
            raise ReplyError("ERR DB index is out of range")
        return "OK"

    def config(connection, action, pattern=b"", *more):
        names = fnmatch.filter(SETTINGS, pattern.decode("latin-1")) if action.upper() == b"GET" else []
        return {name.encode(): SETTINGS[name].encode() for name in names}

    def command(connection, *arguments):
        return [name.lower() for name in COMMANDS] if arguments else []

    def info(connection, *sections):
        return b"# Server\r\nredis_version:7.0.0\r\ncore:%b\r\n" % cyreactor.backend.encode()


def find(key):
    """The value of a key, None where there is none."""
    if key in deadlines and deadlines[key] <= time.time():
        remove(key)
    return values.get(key)


def remove(key):
    deadlines.pop(key, None)
    return values.pop(key, None) is not None


def limit(key, seconds):
    """Let a key expire; 1 where there is one."""
    if find(key) is None:
        return 0
    deadlines[key] = time.time() + seconds
    return 1


def left(key):
    """Seconds until a key expires; -1 where it does not, -2 where there is none."""
    if find(key) is None:
        return -2
    return max(0, deadlines[key] - time.time()) if key in deadlines else -1


def sweep():
    """Forget what has expired, once a second: perhaps nobody asks for it any more."""
    for key in list(deadlines):
        find(key)
    asyncio.get_running_loop().call_later(1, sweep)


def integer(word):
    if not word.removeprefix(b"-").isdigit() or len(word) > 20 or not -(1 << 63) <= int(word) < 1 << 63:
        raise NOT_AN_INTEGER
    return int(word)


def parse_set(options):
    """The flags among the options of SET, and the seconds to live."""
    flags, seconds = set(), None
    words = iter(options)
    for word in words:
        flag = word.upper().decode("latin-1")
        if flag in ("EX", "PX"):
            seconds = integer(next(words, b"")) / (1 if flag == "EX" else 1000)
            if seconds <= 0:
                raise INVALID_EXPIRE
        elif flag in ("NX", "XX", "GET", "KEEPTTL"):
            flags.add(flag)
        else:
            raise SYNTAX
    if {"NX", "XX"} <= flags:
        raise SYNTAX
    return flags, seconds


def wrong_number(name):
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


def unknown(*words):
    raise ReplyError("ERR unknown command")


def arity(function):
    """A function with the least and the most words that it takes, the command's name counted."""
    parameters = inspect.signature(function).parameters.values()
    needed = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    least = sum(parameter.default is parameter.empty for parameter in needed)
    return function, least, len(needed) if len(needed) == len(parameters) else float("inf")


UNKNOWN = arity(unknown)
COMMANDS = {
    name.strip("_").upper().encode(): arity(function)
    for name, function in vars(Commands).items()
    if inspect.isfunction(function)
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
    except OSError as exc:
        parser.exit(1, f"kv_server: {exc}\n")


if __name__ == "__main__":
    main()
