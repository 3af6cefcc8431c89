"""The example of a chat: who hears what, and what becomes of those who do not listen."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing

import pytest
from command_line import running_example


class Guest:
    """Speaks and hears lines."""

    def __init__(self, port, name=None, **options):
        self.sock = socket.socket()
        self.sock.settimeout(20)
        if options.get("slow"):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(("127.0.0.1", port))
        self.file = self.sock.makefile("rb")
        assert self.hear() == "* your name?"
        if name:
            self.say(name)
            assert self.hear() == f"* {name} came"

    def say(self, *lines):
        self.sock.sendall("".join(f"{line}\n" for line in lines).encode())

    def hear(self):
        return self.file.readline().decode().removesuffix("\n")

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.fixture(scope="module")
def chat(core):
    with running_example(core, "chat.py", "--patience", "0.5") as process:
        yield process.port


@pytest.fixture
def come(chat):
    """Makes guests, who leave at the end."""
    with ExitStack() as leaving:
        yield lambda name=None, **options: leaving.enter_context(closing(Guest(chat, name, **options)))


def test_a_conversation(come):
    ann, bob = come("ann"), come("bob")
    assert ann.hear() == "* bob came"
    ann.say("hello", "", "/me waves", "/who", "/what")
    assert [ann.hear() for _ in range(4)] == [
        "ann: hello", "* ann waves", "* here are ann, bob", "* /what is none of /me, /who and /quit",
    ]  # fmt: skip
    bob.say("/quit", "never said")
    assert [bob.hear() for _ in range(4)] == ["ann: hello", "* ann waves", "* goodbye", ""]
    assert ann.hear() == "* bob left"


def test_a_name_is_one_word_that_nobody_else_has(come):
    come("ann")
    guest = come()
    for name in ("", "ann", "two words", "/who", "x" * 21, "\x1b[2J"):
        guest.say(name)
        assert guest.hear().startswith("* please another name")
    guest.say(" zoë\r", "hello")
    assert [guest.hear(), guest.hear()] == ["* zoë came", "zoë: hello"]


def test_nobody_plays_with_the_terminals_of_others(come):
    ann = come("ann")
    ann.sock.sendall(b"a\x1b[2J\x07b\rc \xff\n")
    assert ann.hear() == "ann: a[2Jbc \ufffd"


def test_who_hangs_up_or_says_too_much_has_left(come):
    ann, bob, joe = come("ann"), come("bob"), come("joe")
    assert [ann.hear(), ann.hear()] == ["* bob came", "* joe came"]
    bob.sock.shutdown(socket.SHUT_WR)
    assert [bob.hear(), bob.hear(), ann.hear()] == ["* joe came", "", "* bob left"]
    joe.say("x" * 1001)
    assert ann.hear() == "* joe left: message longer than 1000 bytes"
    assert come("bob")


def talk(ann, count):
    """Say lines of a thousand bytes, and hear them."""
    for _ in range(count):
        ann.say(*["x" * 990] * 50)
        for _ in range(50):
            yield ann.hear()


def test_who_does_not_listen_is_dropped(come):
    ann = come("ann")
    come("bob", slow=True)
    assert ann.hear() == "* bob came"
    heard = talk(ann, 10_000)
    assert "* bob left" in heard  # and not half a gigabyte later
    heard.close()


def test_who_does_not_listen_for_a_while_misses_what_is_said(core):
    """Nothing is kept beyond what the watermark and the kernel hold."""
    with running_example(core, "chat.py", "--patience", "60") as process, ExitStack() as leaving:
        ann, bob = (leaving.enter_context(closing(Guest(process.port, name, slow=name == "bob")))
                    for name in ("ann", "bob"))  # fmt: skip
        assert ann.hear() == "* bob came"
        assert set(talk(ann, 200)) == {"ann: " + "x" * 990}
        heard = 0
        while (line := bob.hear()) == "ann: " + "x" * 990:
            heard += 1
        assert line == f"* you missed {200 * 50 - heard} lines"
        bob.say("thanks")
        assert ann.hear() == bob.hear() == "bob: thanks"


def test_a_full_room_is_closed_without_a_word(core):
    """Nobody is told of those who are put out: all are."""
    with ExitStack() as leaving, running_example(core, "chat.py") as process:
        for number in range(20):
            leaving.enter_context(closing(Guest(process.port, f"guest_{number}")))
