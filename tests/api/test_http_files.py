"""FileProtocol: what is served of a directory, what is not, and how."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import time

import pytest
from http_client import LOOPS, Client, get, player
from streams_kit import until

SMALL = b"<p>small</p>\n"
LARGE = bytes(range(256)) * 4096  # beyond what is read at once, and beyond a slice of sendfile


@pytest.fixture(params=LOOPS)
def play(request, core):
    """Runs a coroutine on one of the loops; nothing may be reported to its exception handler."""

    def run(scenario):
        assert player(request.param, core)(scenario) == []

    return run


@pytest.fixture
def play_once(core):
    """The same on the reactor alone, where the loop makes no difference."""

    def run(scenario):
        assert player("reactor", core)(scenario) == []

    return run


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A directory to serve, and around it what must not be."""
    return make_site(tmp_path_factory.mktemp("around"))


@pytest.fixture
def changing(tmp_path):
    """One that a test may change."""
    return make_site(tmp_path)


def make_site(around):
    root = around / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "small.html").write_bytes(SMALL)
    (root / "large.bin").write_bytes(LARGE)
    (root / "empty.txt").write_bytes(b"")
    (root / "home" / "index.html").write_bytes(b"home")
    (root / "sub" / "name with <&>.txt").write_text("odd")
    (root / ".hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "inside").symlink_to("sub")
    (root / "alias.html").symlink_to("small.html")
    (around / "secret.txt").write_text("secret")
    (root / "leak.txt").symlink_to(around / "secret.txt")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "gone").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    old = time.time() - 1000
    for path in root.rglob("*.*"):
        with contextlib.suppress(OSError):
            os.utime(path, (old, old))
    return root


def files(core, site, **options):
    return core.http.FileProtocol.factory(site, **options)


def absolute(target):
    return f"http://somewhere{target}"


# --- what is found ---

FOUND = {
    "/small.html": (SMALL, "text/html; charset=utf-8"),
    "/small.html?query=/../": (SMALL, "text/html; charset=utf-8"),
    "/sm%61ll.html": (SMALL, "text/html; charset=utf-8"),
    "//small.html": (SMALL, "text/html; charset=utf-8"),
    absolute("/small.html"): (SMALL, "text/html; charset=utf-8"),
    "/alias.html": (SMALL, "text/html; charset=utf-8"),
    "/large.bin": (LARGE, "application/octet-stream"),
    "/empty.txt": (b"", "text/plain; charset=utf-8"),
    "/home/": (b"home", "text/html; charset=utf-8"),
    "/sub/name%20with%20%3C&%3E.txt": (b"odd", "text/plain; charset=utf-8"),
    "/inside/name%20with%20%3C&%3E.txt": (b"odd", "text/plain; charset=utf-8"),
}


@pytest.mark.parametrize("target", FOUND)
def test_files_are_served(core, play, site, target):
    body, kind = FOUND[target]

    async def scenario():
        client = await Client.of(files(core, site))
        for _ in range(2):  # the second time a small one comes from memory
            answer = await client.ask(get(target))
            assert (answer.status, answer.body, answer.fields["content-type"]) == (200, body, kind)
            assert answer.fields["x-content-type-options"] == "nosniff"
            head = await client.ask(get(target, "HEAD"), "HEAD")
            assert {**head.fields, "date": ""} == {**answer.fields, "date": ""}
        await client.leave()

    play(scenario)


def test_pipelined_files_come_in_order_large_and_small(core, play, site):
    async def scenario():
        client = await Client.of(files(core, site))
        targets = ["/large.bin", "/small.html", "/large.bin", "/none", "/home/"] * 3
        client.send(b"".join(map(get, targets)))
        bodies = [(await client.answer()).body for _ in targets]
        assert bodies == [LARGE, SMALL, LARGE, b"404 Not Found\n", b"home"] * 3
        await client.leave()

    play(scenario)


MISSING = [
    "/none", "/small.html/", "/small.html/x", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/../small.html",
    "/..%2fsecret.txt", "/sub%2f..%2f..%2fsecret.txt", "/%2Fetc/passwd", "/..", "/.", "/sub/./deep/", "/leak.txt",
    "/up/secret.txt", "/up/", "/loop", "/gone", "/pipe", "/.hidden", "/.git/config", "/.git/", "/small.html%00",
    "/%00", "/..%5csecret.txt", "/" + "x" * 300, absolute("/../secret.txt"), "/%ff", "/sub/%zz",
]  # fmt: skip


@pytest.mark.parametrize("target", MISSING)
def test_what_is_outside_hidden_or_no_file_is_not_there(core, play_once, site, target):
    async def scenario():
        client = await Client.of(files(core, site))
        for method in ("GET", "HEAD"):
            answer = await client.ask(get(target, method), method)
            assert answer.status == 404
            assert b"secret" not in answer.body
        await client.leave()

    play_once(scenario)


@pytest.mark.parametrize("target", ["/.hidden", "/.git/config"])
def test_hidden_names_are_served_where_that_is_wished_and_the_parent_is_not(core, play_once, site, target):
    async def scenario():
        client = await Client.of(files(core, site, hidden=True))
        assert (await client.ask(get(target))).body == b"hidden"
        assert (await client.ask(get("/.git/../../secret.txt"))).status == 404
        await client.leave()

    play_once(scenario)


def test_names_that_are_no_utf_8_are_listed_and_served(core, play_once, changing):
    try:
        (changing / os.fsdecode(b"odd\xff.txt")).write_bytes(b"odd")
    except OSError as exc:  # a file system that knows only UTF-8
        assert exc.errno == errno.EILSEQ
        return

    async def scenario():
        client = await Client.of(files(core, changing))
        assert b'<a href="odd%FF.txt">' in (await client.ask(get("/"))).body
        assert (await client.ask(get("/odd%FF.txt"))).body == b"odd"
        await client.leave()

    play_once(scenario)


def test_what_cannot_be_read_is_not_there_and_without_descriptors_the_server_says_so(
    core, play_once, site, monkeypatch
):
    """By a stand-in for the open: root reads everything, and descriptors are this process's own."""
    code = errno.EACCES
    opened = os.open

    def failing(path, flags, *args, **options):
        if str(path).endswith("small.html"):
            raise OSError(code, os.strerror(code))
        return opened(path, flags, *args, **options)

    async def scenario():
        nonlocal code
        client = await Client.of(files(core, site))
        monkeypatch.setattr(os, "open", failing)
        assert (await client.ask(get("/small.html"))).status == 404
        code = errno.EMFILE
        assert (await client.ask(get("/small.html"))).status == 503
        monkeypatch.undo()
        assert (await client.ask(get("/small.html"))).body == SMALL
        await client.leave()

    play_once(scenario)


# --- directories ---


def test_a_directory_is_listed_sorted_and_escaped(core, play, site):
    async def scenario():
        client = await Client.of(files(core, site))
        answer = await client.ask(get("/"))
        assert answer.fields["content-type"] == "text/html; charset=utf-8"
        links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', answer.body.decode())
        shown = ["alias.html", "empty.txt", "home/", "inside/", "large.bin", "small.html", "sub/"]
        assert links == [(name, name) for name in shown]
        answer = await client.ask(get("/sub/"))
        links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', answer.body.decode())
        assert links == [
            ("../", "../"), ("deep/", "deep/"),
            ("name%20with%20%3C%26%3E.txt", "name with &lt;&amp;&gt;.txt"),
        ]  # fmt: skip
        await client.leave()

    play(scenario)


def test_a_listing_is_bounded(core, play_once, site, monkeypatch):
    monkeypatch.setattr(core.http.directory, "LISTED_NAMES", 3)

    async def scenario():
        client = await Client.of(files(core, site))
        body = (await client.ask(get("/"))).body
        assert body.count(b"<li>") == 3
        assert b"more files" in body
        await client.leave()

    play_once(scenario)


@pytest.mark.parametrize(("target", "location"), [
    ("/sub", "/sub/"), ("/sub?a=b&c", "/sub/?a=b&c"), ("/sub/deep", "/sub/deep/"), ("//sub", "/sub/"),
    ("/inside", "/inside/"), (absolute("/sub"), "/sub/"),
])  # fmt: skip
def test_a_directory_without_its_slash_is_elsewhere(core, play_once, site, target, location):
    async def scenario():
        client = await Client.of(files(core, site))
        answer = await client.ask(get(target))
        assert (answer.status, answer.fields["location"]) == (301, location)
        await client.leave()

    play_once(scenario)


def test_a_redirect_never_leads_to_another_host(core, play_once, changing):
    (changing / "evil.com").mkdir()
    (changing / "with\nline").mkdir()

    async def scenario():
        client = await Client.of(files(core, changing))
        assert (await client.ask(get("//evil.com"))).fields["location"] == "/evil.com/"
        assert (await client.ask(get("/with%0Aline"))).fields["location"] == "/with%0Aline/"
        await client.leave()

    play_once(scenario)


# --- methods ---


@pytest.mark.parametrize(("method", "status"), [
    ("OPTIONS", 204), ("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("TRACE", 405), ("BREW", 501),
])  # fmt: skip
def test_other_methods_are_refused(core, play_once, site, method, status):
    async def scenario():
        client = await Client.of(files(core, site))
        answer = await client.ask(get("/small.html", method, body=b"x", Content_Length=1))
        assert answer.status == status
        assert answer.fields.get("allow") == (None if status == 501 else "GET, HEAD, OPTIONS")
        assert (await client.ask(get("/small.html"))).body == SMALL
        await client.leave()

    play_once(scenario)


def test_connect_and_the_asterisk_are_no_files(core, play_once, site):
    async def scenario():
        client = await Client.of(files(core, site))
        assert (await client.ask(get("*", "OPTIONS"))).status == 204
        answer = await client.ask(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
        assert (answer.status, answer.fields["connection"]) == (405, "close")
        assert await client.at_end()

    play_once(scenario)


# --- ranges ---

SIZE = len(LARGE)
RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=10-19": (10, 20),
    "bytes=300000-": (300_000, SIZE),
    "bytes=-5": (SIZE - 5, SIZE),
    f"bytes=-{SIZE * 2}": (0, SIZE),
    f"bytes={SIZE - 1}-{SIZE * 2}": (SIZE - 1, SIZE),
    "Bytes=1-1": (1, 2),
}


@pytest.mark.parametrize("wanted", RANGES)
def test_a_part_of_a_large_file(core, play, site, wanted):
    start, stop = RANGES[wanted]

    async def scenario():
        client = await Client.of(files(core, site))
        answer = await client.ask(get("/large.bin", Range=wanted))
        assert (answer.status, answer.body) == (206, LARGE[start:stop])
        assert answer.fields["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert (await client.ask(get("/large.bin", "HEAD", Range=wanted), "HEAD")).status == 200
        await client.leave()

    play(scenario)


@pytest.mark.parametrize(("wanted", "status", "body"), [
    ("bytes=1-3", 206, SMALL[1:4]), ("bytes=-3", 206, SMALL[-3:]), ("bytes=5-", 206, SMALL[5:]),
    (f"bytes={len(SMALL)}-", 416, None), ("bytes=-0", 416, None), ("bytes=99-100", 416, None),
    ("bytes=3-1", 200, SMALL), ("bytes=0-1,3-4", 200, SMALL), ("bytes=x-y", 200, SMALL), ("lines=1-2", 200, SMALL),
    ("bytes=", 200, SMALL), ("bytes=-", 200, SMALL), ("bytes=1-2-3", 200, SMALL), ("bytes=" + "9" * 40, 200, SMALL),
])  # fmt: skip
def test_a_part_of_a_small_file(core, play_once, site, wanted, status, body):
    async def scenario():
        client = await Client.of(files(core, site))
        answer = await client.ask(get("/small.html", Range=wanted))
        assert answer.status == status
        if status == 416:
            assert answer.fields["content-range"] == f"bytes */{len(SMALL)}"
        else:
            assert answer.body == body
        await client.leave()

    play_once(scenario)


def test_no_part_of_an_empty_file(core, play_once, site):
    async def scenario():
        client = await Client.of(files(core, site))
        for wanted in ("bytes=0-", "bytes=-1"):
            assert (await client.ask(get("/empty.txt", Range=wanted))).status == 416
        await client.leave()

    play_once(scenario)


# --- conditions ---

OLD, NEW = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"

# What is asked, with TAG and DATE standing for those of the file, and the status that follows.
CONDITIONS = [
    ({"If_None_Match": "TAG"}, 304), ({"If_None_Match": "W/TAG"}, 304), ({"If_None_Match": '"a", TAG, "b"'}, 304),
    ({"If_None_Match": "*"}, 304), ({"If_None_Match": '"other"'}, 200), ({"If_None_Match": "nonsense"}, 200),
    ({"If_Modified_Since": "DATE"}, 304), ({"If_Modified_Since": NEW}, 304), ({"If_Modified_Since": OLD}, 200),
    ({"If_Modified_Since": "nonsense"}, 200),
    ({"If_None_Match": '"other"', "If_Modified_Since": NEW}, 200),
    ({"If_None_Match": "TAG", "If_Modified_Since": OLD}, 304),
    ({"If_Match": "TAG"}, 200), ({"If_Match": "*"}, 200), ({"If_Match": '"other"'}, 412), ({"If_Match": "W/TAG"}, 412),
    ({"If_Unmodified_Since": "DATE"}, 200), ({"If_Unmodified_Since": OLD}, 412), ({"If_Unmodified_Since": "x"}, 200),
    ({"If_Match": "TAG", "If_Unmodified_Since": OLD}, 200), ({"If_Match": "TAG", "If_None_Match": "TAG"}, 304),
    ({"Range": "bytes=0-1", "If_Range": "TAG"}, 206), ({"Range": "bytes=0-1", "If_Range": "DATE"}, 206),
    ({"Range": "bytes=0-1", "If_Range": '"other"'}, 200), ({"Range": "bytes=0-1", "If_Range": OLD}, 200),
    ({"Range": "bytes=0-1", "If_Range": "W/TAG"}, 200), ({"Range": "bytes=0-1", "If_None_Match": "TAG"}, 304),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "status"), CONDITIONS, ids=str)
@pytest.mark.parametrize("target", ["/small.html", "/large.bin"])
def test_conditions(core, play_once, site, target, conditions, status):
    async def scenario():
        client = await Client.of(files(core, site))
        whole = await client.ask(get(target))
        tag, date = whole.fields["etag"], whole.fields["last-modified"]
        given = {name: value.replace("TAG", tag).replace("DATE", date) for name, value in conditions.items()}
        answer = await client.ask(get(target, **given))
        assert answer.status == status
        if status == 304:
            assert (answer.fields["etag"], answer.body) == (tag, b"")
        if status == 200:
            assert answer.body == whole.body
        await client.leave()

    play_once(scenario)


# --- files that change ---


def test_a_file_that_was_changed_is_read_again(core, play_once, changing):
    async def scenario():
        client = await Client.of(files(core, changing))
        path = changing / "small.html"
        tags = set()
        for body in (SMALL, b"x" * len(SMALL), b"longer than before", b""):
            path.write_bytes(body)
            os.utime(path, (1000, 1000))  # as old as before, for whoever looks at the seconds only
            for _ in range(2):
                answer = await client.ask(get("/small.html"))
                assert answer.body == body
            tags.add(answer.fields["etag"])
        path.unlink()
        assert (await client.ask(get("/small.html"))).status == 404
        path.symlink_to(changing.parent / "secret.txt")
        assert (await client.ask(get("/small.html"))).status == 404
        await client.leave()

    play_once(scenario)


def test_an_index_that_comes_and_goes(core, play_once, changing):
    async def scenario():
        client = await Client.of(files(core, changing))
        index = changing / "home" / "index.html"
        assert (await client.ask(get("/home/"))).body == b"home"
        index.unlink()
        assert b"Index of /home/" in (await client.ask(get("/home/"))).body
        index.write_bytes(b"again")
        assert (await client.ask(get("/home/"))).body == b"again"
        await client.leave()

    play_once(scenario)


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(core, play, changing):
    path = changing / "large.bin"
    path.write_bytes(bytes(8_000_000))

    async def scenario():
        client = await Client.of(files(core, changing))
        client.send(get("/large.bin"))
        status, fields = await client.head()
        assert (status, fields["content-length"]) == (200, "8000000")
        os.truncate(path, 100)
        assert len(await client.reader.read()) < 8_000_000

    play(scenario)


def test_a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing_behind(core, play, changing):
    path = changing / "large.bin"
    path.write_bytes(bytes(8_000_000))

    async def scenario():
        before = set(os.listdir("/dev/fd"))
        for _ in range(5):
            client = await Client.of(files(core, changing))
            client.send(get("/large.bin"))
            await client.head()
            client.writer.transport.abort()
            await until(lambda client=client: client.protocol._task is None or client.protocol._task.done())
            await until(lambda client=client: client.protocol._finished)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(set(os.listdir("/dev/fd")) - before) <= 1  # the one that lists them

    play(scenario)


def test_a_client_that_takes_nothing_of_a_file_is_left(core, play, changing):
    (changing / "large.bin").write_bytes(bytes(8_000_000))

    async def scenario():
        factory = files(core, changing)
        slow = type("Slow", (core.http.FileProtocol,), {"send_timeout": 0.05})
        client = await Client.of(lambda: slow(factory().directory))
        client.writer.transport.pause_reading()
        client.send(get("/large.bin"))
        await until(lambda: client.protocol._finished)

    play(scenario)


def test_memory_for_small_files_is_bounded(core, play_once, changing, monkeypatch):
    monkeypatch.setattr(core.http.directory, "CACHED_BYTES", 10_000)
    for i in range(20):
        (changing / f"{i}.txt").write_bytes(b"x" * 1000)
        os.utime(changing / f"{i}.txt", (1000, 1000))

    async def scenario():
        client = await Client.of(files(core, changing))
        for _ in range(2):
            for i in range(20):
                assert (await client.ask(get(f"/{i}.txt"))).body == b"x" * 1000
        directory = client.protocol.directory
        assert 0 < directory._kept_bytes <= 10_000
        assert directory._kept_bytes == sum(file.size + 2048 for file in directory._kept.values())
        await client.leave()

    play_once(scenario)


def test_what_is_no_directory_cannot_be_served(core, site):
    for name in ("none", "small.html"):
        with pytest.raises(OSError, match=name):
            core.http.FileProtocol.factory(site / name)
