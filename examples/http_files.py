"""Files over HTTP with something added: / leads to a page, /status is made when it is asked for.

    python examples/http_files.py [DIRECTORY] [--start PAGE] [--host HOST] [--port PORT]

Without a directory it serves the one that it is in.
"""

import argparse
import json
import time
from pathlib import Path
from urllib.parse import quote

import cyreactor
from cyreactor.http import FileProtocol

JSON = ((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"))


class Site(FileProtocol):
    """One connection. Ranges, conditional requests, HEAD, time limits and back-pressure are inherited."""

    start = "/README.md"  # where / leads
    began = time.monotonic()
    requests = 0  # of all connections together

    def request_received(self, request):
        Site.requests += 1
        path = request.target.partition("?")[0]
        if request.method not in ("GET", "HEAD"):
            super().request_received(request)  # which knows what to say to those
        elif path == "/":
            self.respond(302, {"Location": self.start})
        elif path == "/status":
            self.respond(200, JSON, self.status())
        else:
            super().request_received(request)

    def status(self):
        about = {
            "core": cyreactor.backend,
            "requests": self.requests,
            "seconds": round(time.monotonic() - self.began, 1),
        }
        return json.dumps(about).encode() + b"\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=Path(__file__).parent)
    parser.add_argument("--start", metavar="PAGE", default="README.md", help="default: %(default)s")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()

    def ready(server):
        host, port, *_ = server.sockets[0].getsockname()
        print(f"serving on http://{host}:{port}/, {cyreactor.backend} core", flush=True)

    try:
        Site.start = "/" + quote(options.start.lstrip("/"))
        cyreactor.serve(Site.factory(options.directory), options.host, options.port, ready=ready)
    except (OSError, OverflowError, ValueError) as exc:
        parser.exit(1, f"http_files: {exc}\n")


if __name__ == "__main__":
    main()
