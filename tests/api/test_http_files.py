"""FileProtocol: what is served of a directory, what is not, and how."""

from __future__ import annotations

import asyncio
import errno
import os
import re

import pytest
from http_client import LARGE, SMALL, Client, get, make_site
from streams_kit import until


@pytest.fixture
def changing(tmp_path):
    """One that a test may change."""
    return make_site(tmp_path)


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
    "/..%2fsecret.txt", "/sub%2f..%2f..%2fsecret.txt", "/%2Fetc/passwd", "/..", "/.", "/sub/./deep/",
    "/leak.txt", "/up/secret.txt", "/up/", "/loop", "/gone", "/pipe", "/.hidden", "/.git/config", "/.git/",
    "/small.html%00", "/%00", "/..%5csecret.txt",
    "/" + "x" * 300, absolute("/../secret.txt"), "/%ff", "/sub/%zz",
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
    except OSError as exc:
        if exc.errno != errno.EILSEQ:  # a file system that knows only UTF-8
            raise
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
