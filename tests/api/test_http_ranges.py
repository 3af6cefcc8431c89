"""What a client asks for beside a file: other methods, a part of it, or nothing where it has it already."""

from __future__ import annotations

import pytest
from http_client import LARGE, SMALL, Client, get


def files(core, site):
    return core.http.FileProtocol.factory(site)


# --- methods ---


@pytest.mark.parametrize(("method", "status"), [
    ("OPTIONS", 204), ("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("TRACE", 405),
    ("BREW", 501),
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
    ("bytes=3-1", 200, SMALL), ("bytes=0-1,3-4", 200, SMALL), ("bytes=x-y", 200, SMALL),
    ("lines=1-2", 200, SMALL), ("bytes=", 200, SMALL), ("bytes=-", 200, SMALL), ("bytes=1-2-3", 200, SMALL),
    ("bytes=" + "9" * 40, 200, SMALL),
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
    ({"If_None_Match": "TAG"}, 304), ({"If_None_Match": "W/TAG"}, 304),
    ({"If_None_Match": '"a", TAG, "b"'}, 304), ({"If_None_Match": "*"}, 304),
    ({"If_None_Match": '"other"'}, 200), ({"If_None_Match": "nonsense"}, 200),
    ({"If_Modified_Since": "DATE"}, 304), ({"If_Modified_Since": NEW}, 304),
    ({"If_Modified_Since": OLD}, 200), ({"If_Modified_Since": "nonsense"}, 200),
    ({"If_None_Match": '"other"', "If_Modified_Since": NEW}, 200),
    ({"If_None_Match": "TAG", "If_Modified_Since": OLD}, 304), ({"If_Match": "TAG"}, 200),
    ({"If_Match": "*"}, 200), ({"If_Match": '"other"'}, 412), ({"If_Match": "W/TAG"}, 412),
    ({"If_Unmodified_Since": "DATE"}, 200), ({"If_Unmodified_Since": OLD}, 412),
    ({"If_Unmodified_Since": "x"}, 200), ({"If_Match": "TAG", "If_Unmodified_Since": OLD}, 200),
    ({"If_Match": "TAG", "If_None_Match": "TAG"}, 304), ({"Range": "bytes=0-1", "If_Range": "TAG"}, 206),
    ({"Range": "bytes=0-1", "If_Range": "DATE"}, 206), ({"Range": "bytes=0-1", "If_Range": '"other"'}, 200),
    ({"Range": "bytes=0-1", "If_Range": OLD}, 200), ({"Range": "bytes=0-1", "If_Range": "W/TAG"}, 200),
    ({"Range": "bytes=0-1", "If_None_Match": "TAG"}, 304),
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
