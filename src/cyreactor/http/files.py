"""FileProtocol: the files of a directory over HTTP."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ..limits import SENDFILE_SLICE, SENT_AT_ONCE
from .conditions import byte_range, precondition, range_still_holds
from .directory import Directory, File, quoted
from .listing import page
from .protocol import PLAIN_TEXT, HTTPProtocol

HTML = ((b"Content-Type", b"text/html; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff"))
ALLOWED = ((b"Allow", b"GET, HEAD, OPTIONS"),)
REFUSED = frozenset({"POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})
INDEX = "index.html"
BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class FileProtocol(HTTPProtocol):
    """Serves the files of a directory: with ranges, conditional requests, indexes and listings::

        cyreactor.serve(FileProtocol.factory("public"), "127.0.0.1", 8000)

    ``index.html`` stands for its directory, any other directory is listed. Nothing outside of the
    directory is served, whatever the path or a symbolic link says, nor what is not a regular file,
    nor, unless ``hidden`` was set, names that begin with a dot. What may not be read is 404 like
    what is not there.

    Files are read on the loop, which waits for the disk meanwhile; small ones are kept in memory
    while they do not change, large ones are sent by the kernel, in slices.
    """

    half_close = True
    max_body = 64 * 1024  # nothing is done with one

    _task: asyncio.Task[None] | None = None  # that sends a file

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    @classmethod
    def factory(cls, path: str | os.PathLike[str], *, hidden: bool = False) -> Callable[[], FileProtocol]:
        """Makes the protocols of a server; the small files are kept for all of them together.

        Raises OSError where there is no such directory.
        """
        directory = Directory(path, hidden=hidden)
        return lambda: cls(directory)

    def request_received(self, request: Any) -> None:
        method = request.method
        if method != "GET" and method != "HEAD":
            self._refuse_method(method)
            return
        path = request.target
        if path[0] != "/" or "?" in path:
            path = path.partition("?")[0] if path[0] == "/" else urlsplit(path).path or "/"
        file = self.directory.kept(path)
        if file is not None:
            self._send_file(request, file, -1)
            return
        try:
            self._look_up(request, path)
        except OSError as exc:
            self._send_status(503 if exc.errno in BUSY else 404)

    def _refuse_method(self, method: str) -> None:
        if method == "OPTIONS":
            self.respond(204, ALLOWED)
        elif method in REFUSED:
            self._send_status(405, ALLOWED)
        else:
            self._send_status(501)

    def _send_status(self, status: int, fields: Any = ()) -> None:
        """An answer that says no more than its status."""
        self.respond(status, PLAIN_TEXT + fields, f"{status} {HTTPStatus(status).phrase}\n".encode())

    # --- what the path names ---

    def _look_up(self, request: Any, path: str) -> None:
        names = self.directory.names(path)
        if names is None:
            raise FileNotFoundError(path)
        located, status = self.directory.locate(names)
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_directory and not path.endswith("/"):
            _, mark, query = request.target.partition("?")
            location = (quoted(names) + mark + query).encode("ascii")
            self._send_status(301, ((b"Location", location),))
        elif is_directory:
            self._send_directory(request, path, names)
        elif path.endswith("/"):
            raise FileNotFoundError(path)
        else:
            self._send_file(request, *self.directory.read(path, names, located))

    def _send_directory(self, request: Any, path: str, names: list[str]) -> None:
        try:
            located, _ = self.directory.locate([*names, INDEX])
            index = self.directory.read(path, [*names, INDEX], located)
        except OSError as exc:
            if exc.errno in BUSY:
                raise
            entries, complete = self.directory.listing(names)
            shown = "/" + "".join(name + "/" for name in names)
            self.respond(200, HTML, page(shown, entries, complete=complete))
        else:
            self._send_file(request, *index)

    # --- what is sent of a file ---

    def _send_file(self, request: Any, file: File, descriptor: int) -> None:
        """Answer with the file, or with the part that is wanted; closes the descriptor."""
        get = request.headers.get
        status = precondition(get, file.tag, file.modified)
        wanted = get(b"range") if status == 200 and request.method == "GET" else None
        part = None
        if wanted is not None and range_still_holds(get(b"if-range"), file.tag, file.modified_text):
            part = byte_range(wanted, file.size)
        if status == 200 and part is None:
            self._send_part(request, 200, file, file.fields, 0, file.size, descriptor)
        elif part is not None and part[0] < part[1]:
            about = b"bytes %d-%d/%d" % (part[0], part[1] - 1, file.size)
            fields = (*file.fields, (b"Content-Range", about))
            self._send_part(request, 206, file, fields, *part, descriptor)
        else:
            _close(descriptor)
            if part is not None:
                self._send_status(416, ((b"Content-Range", b"bytes */%d" % file.size),))
            elif status == 304:
                self.respond(304, file.fields[1:])
            else:
                self._send_status(412)

    def _send_part(
        self, request: Any, status: int, file: File, fields: Any, start: int, stop: int, descriptor: int
    ) -> None:
        if file.body is not None:
            whole = stop - start == file.size
            self.respond(status, fields, file.body if whole else file.body[start:stop])
            return
        try:
            self.start_response(status, (*fields, (b"Content-Length", b"%d" % (stop - start))))
            if request.method == "HEAD":
                self.end_response()
                return
            file_object = os.fdopen(descriptor, "rb", buffering=0)
            descriptor = -1
        finally:
            _close(descriptor)
        self._sending = True
        self._task = asyncio.get_running_loop().create_task(self._send_slices(file_object, start, stop))

    async def _send_slices(self, file: Any, start: int, stop: int) -> None:
        """Send a part of a file; one that has become shorter ends the connection, and so the answer."""
        with file:
            try:
                while start < stop and (sent := await self._send_slice(file, start, stop - start)):
                    start += sent
                    self._sent(sent)
            except OSError:  # the client has left
                start = -1
            finally:
                self._sending = False
        if start == stop:
            self.end_response()
        else:
            self._abandon()

    async def _send_slice(self, file: Any, start: int, left: int) -> int:
        """How many bytes were sent; 0 at the end of the file. Raises OSError once the client has left."""
        loop, transport = asyncio.get_running_loop(), self.transport
        if transport.is_closing():
            raise ConnectionResetError
        sent = self._send_at_once(file, start, left)
        if sent is not None:
            if sent < left:
                await asyncio.sleep(0)  # the neighbours' turn
            return sent
        count = min(left, SENDFILE_SLICE)
        try:
            return await loop.sendfile(transport, file, start, count, fallback=False)
        except (RuntimeError, NotImplementedError):  # not on this loop, or not on this transport
            file.seek(start)
            piece = file.read(count)
            transport.write(piece)
            await self.drain()
            return len(piece)

    def _send_at_once(self, file: Any, start: int, left: int) -> int | None:
        """What the kernel takes now; None where it is not to be asked, or takes nothing."""
        sock = self.transport.get_extra_info("socket")
        plain = sock is not None and self.transport.get_extra_info("sslcontext") is None
        if not plain or self.transport.get_write_buffer_size() or not hasattr(os, "sendfile"):
            return None
        try:
            return os.sendfile(sock.fileno(), file.fileno(), start, min(left, SENT_AT_ONCE))
        except (BlockingIOError, InterruptedError):
            return None

    def _expire(self, awaited: int) -> None:
        if self._task is None or not self._sending:
            super()._expire(awaited)
            return
        # asyncio's transport cannot be aborted while sendfile uses it.
        self._task.add_done_callback(lambda _: self.transport.abort())
        self._task.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
