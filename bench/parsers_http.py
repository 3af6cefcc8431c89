"""HTTP/1.1 on both cores, httptools and h11. httptools calls back for each field and makes a list of
them; "headers listed" makes ours a list of pairs too, else they are made when they are asked for."""

from __future__ import annotations

import h11
import httptools

from cyreactor._compiled import http as compiled
from cyreactor._pure import http as pure

BROWSER = (
    b"GET /articles/2026/event-loops?page=2&sort=newest HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Referer: https://www.example.com/articles\r\n"
    b"Connection: keep-alive\r\n"
    b"Cookie: session=9f86d081884c7d659a2feaa0c55ad015; theme=dark; consent=1\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"\r\n"
)
SMALL = b"GET /plaintext HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\n\r\n"
POSTED = (
    b"POST /items HTTP/1.1\r\nHost: localhost:8080\r\n"
    b"Content-Type: application/json\r\nContent-Length: 27\r\n\r\n"
    b'{"name": "x", "number": 12}'
)
CHUNKED = (
    b"POST /items HTTP/1.1\r\nHost: localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"400\r\n" + b"x" * 1024 + b"\r\n" + b"400\r\n" + b"y" * 1024 + b"\r\n0\r\n\r\n"
)  # fmt: skip
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nServer: example\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\nConnection: keep-alive\r\n"
    b"Cache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\nHello, World!"
)


def ours(kind, data, listed):
    parser = kind()

    def parse():
        parser.feed(data)
        for message in parser:
            message.body  # noqa: B018
            if listed:
                list(message.headers)

    return parse


class Request:
    """What a server on httptools does: collect, and make a request of it at the end."""

    def on_message_begin(self):
        self.headers = []
        self.body = []

    def on_url(self, url):
        self.url = url

    def on_header(self, name, value):
        self.headers.append((name, value))

    def on_body(self, body):
        self.body.append(body)

    def on_message_complete(self):
        b"".join(self.body)


def with_httptools(kind, data):
    parser = kind(Request())
    return lambda: parser.feed_data(data)


def with_h11(role, data):
    asked = h11.Request(method="GET", target="/", headers=[("Host", "a")])
    answered = h11.Response(status_code=200, headers=[("Content-Length", "0")])
    connection = h11.Connection(role)

    def parse():
        if role is h11.CLIENT:
            connection.send(asked)
            connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        while connection.next_event() is not h11.NEED_DATA:
            if connection.their_state is h11.DONE:
                if role is h11.SERVER:
                    connection.send(answered)
                    connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
                if role is h11.CLIENT or not connection.trailing_data[0]:
                    break

    return parse


def requests(row, count, data, listed=False):
    return row, count, {
        "compiled": ours(compiled.RequestParser, data, listed),
        "pure": ours(pure.RequestParser, data, listed),
        "httptools": with_httptools(httptools.HttpRequestParser, data),
        "h11": with_h11(h11.SERVER, data),
    }  # fmt: skip


CASES = [
    requests(f"browser's request, {len(BROWSER)} B", 1, BROWSER),
    requests("the same, headers listed", 1, BROWSER, True),
    requests("the same, 16 pipelined", 16, BROWSER * 16),
    requests(f"small request, {len(SMALL)} B", 1, SMALL),
    requests("the same, 16 pipelined", 16, SMALL * 16),
    requests("POST of 27 B", 1, POSTED),
    requests("POST in 2 chunks of 1 KiB", 1, CHUNKED),
    (
        "response, 8 fields and 13 B",
        1,
        {
            "compiled": ours(compiled.ResponseParser, ANSWER, False),
            "pure": ours(pure.ResponseParser, ANSWER, False),
            "httptools": with_httptools(httptools.HttpResponseParser, ANSWER),
            "h11": with_h11(h11.CLIENT, ANSWER),
        },
    ),
]
