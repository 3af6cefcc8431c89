"""Finding what a request's target names in a directory, and nothing outside of it.

A path is taken apart before its percent-encoding is undone, so that no name can contain a slash, and
no name may be ``..``. Symbolic links are followed as long as they end inside the directory. That
holds for links as they are when they are looked at: whoever may change the directory while it is
served may show anything that the server may read.

What cannot be read is treated as what is not there: an answer tells nothing about it.

Small files are kept in memory, with the status that they had. A copy is used only while the file's
status is the same to the nanosecond, and a file that was changed within the last seconds is not
kept, because a second change may leave no trace in a status.
"""

from __future__ import annotations

import mimetypes
import os
import stat
import time
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from ..limits import CACHED_BYTES, CACHED_FILE, LISTED_NAMES

# A device or a pipe must not block the open; the last name must not become a link meanwhile.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"):
    _FLAGS |= getattr(os, _name, 0)

_FORBIDDEN = frozenset("/\\\0:" if os.name == "nt" else "/\\\0")

# Seconds after its last change in which a file may change again without a trace: the coarsest
# timestamps in use count two seconds.
_RACY = 3.0

# Bytes that a kept file costs beside its content.
_OVERHEAD = 2048

_UTF8 = ("text/", "application/javascript", "application/json", "application/xml", "image/svg+xml")

Fields = tuple[tuple[bytes, bytes], ...]


class File(NamedTuple):
    """A file at one moment."""

    path: str
    status: tuple[int, ...]  # what tells it from another one, and from itself after a change
    size: int
    tag: bytes
    modified: int  # seconds
    modified_text: bytes
    fields: Fields  # of an answer with all of it
    body: bytes | None  # None where it is too large, or too new


class Directory:
    """A directory that is served; ``hidden`` says whether names that begin with a dot are, too.

    Raises OSError where there is none.
    """

    def __init__(self, path: str | os.PathLike[str], *, hidden: bool = False) -> None:
        self.root: str = os.path.realpath(path)
        if not os.path.isdir(self.root):
            kind = NotADirectoryError if os.path.exists(self.root) else FileNotFoundError
            raise kind(f"no directory {os.fspath(path)!r}")
        self.hidden = hidden
        mimetypes.init()  # reads the system's list, once
        self._kept: dict[str, File] = {}
        self._kept_bytes = 0

    def kept(self, path: str) -> File | None:
        """The file that a path named, where it is kept and has not changed."""
        file = self._kept.get(path)
        if file is None:
            return None
        try:
            if _identity(os.stat(file.path)) == file.status:
                return file
        except OSError:
            pass
        self._drop(path)
        return None

    def _drop(self, path: str) -> None:
        file = self._kept.pop(path, None)
        if file is not None:
            self._kept_bytes -= file.size + _OVERHEAD

    def names(self, path: str) -> list[str] | None:
        """The names in a target's path; None where one of them is never served."""
        names = []
        for part in path.split("/"):
            if not part:
                continue
            name = os.fsdecode(unquote_to_bytes(part)) if "%" in part else part
            if name in (".", "..") or not _FORBIDDEN.isdisjoint(name):
                return None
            if name.startswith(".") and not self.hidden:
                return None
            names.append(name)
        return names

    def locate(self, names: list[str]) -> tuple[str, os.stat_result]:
        """The path of what the names lead to, without a symbolic link in it, and its status.

        Raises OSError where there is nothing, or where it is outside of the directory.
        """
        path, status = self.root, None
        for name in names:
            path = os.path.join(path, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(os.path.join(self.root, *names))
                if not self._contains(path):
                    raise FileNotFoundError(path)
                return path, os.lstat(path)
        return path, status or os.lstat(path)

    def _contains(self, path: str) -> bool:
        return path == self.root or path.startswith(os.path.join(self.root, ""))

    def read(self, path: str, names: list[str], located: str) -> tuple[File, int]:
        """The file that was located, and its descriptor where it is too large to keep, else -1.

        ``path`` is the target's, to find it by the next time. Raises OSError where there is none.
        """
        descriptor, status = _open(located)
        file = describe(os.path.join(self.root, *names), status)
        if status.st_size > CACHED_FILE:
            return file, descriptor
        try:
            body = _read(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        file = file._replace(body=body, size=len(body))
        if len(body) == status.st_size and time.time() - status.st_mtime > _RACY:
            self._keep(path, file)
        return file, -1

    def _keep(self, path: str, file: File) -> None:
        self._drop(path)
        self._kept[path] = file
        self._kept_bytes += file.size + _OVERHEAD
        while self._kept_bytes > CACHED_BYTES:
            self._drop(next(iter(self._kept)))  # the oldest

    def listing(self, names: list[str]) -> tuple[list[str], bool]:
        """The names in a directory, sorted, and whether these are all of them. Raises OSError."""
        path, _ = self.locate(names)
        found: list[str] = []
        with os.scandir(path) as entries:
            for entry in entries:
                if len(found) == LISTED_NAMES:
                    return sorted(found, key=_order), False
                shown = self._shown(entry)
                if shown is not None:
                    found.append(shown)
        return sorted(found, key=_order), True

    def _shown(self, entry: os.DirEntry[str]) -> str | None:
        """How a name is listed; None where it would not be served."""
        name = entry.name
        if (name.startswith(".") and not self.hidden) or not _FORBIDDEN.isdisjoint(name):
            return None
        try:
            if entry.is_symlink() and not self._contains(os.path.realpath(entry.path)):
                return None
            if entry.is_dir():
                return f"{name}/"
            return name if entry.is_file() else None
        except OSError:  # a link to itself
            return None


def _open(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file for reading. Raises OSError where there is none."""
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def describe(path: str, status: os.stat_result) -> File:
    """What is known of a file without reading it."""
    modified = int(status.st_mtime)
    modified_text = formatdate(max(modified, 0), usegmt=True).encode()
    tag = b'"%x-%x-%x"' % (status.st_ino, status.st_size, status.st_mtime_ns)
    fields = (
        (b"Content-Type", content_type(path)),
        (b"Last-Modified", modified_text),
        (b"ETag", tag),
        (b"Accept-Ranges", b"bytes"),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    return File(path, _identity(status), status.st_size, tag, modified, modified_text, fields, None)


def content_type(path: str) -> bytes:
    """The media type of a name; a file that is compressed is sent as what it is."""
    kind, coding = mimetypes.guess_type(path)
    if kind is None or coding is not None:
        return b"application/octet-stream"
    if kind.startswith(_UTF8):
        return f"{kind}; charset=utf-8".encode()
    return kind.encode()


def quoted(names: list[str]) -> str:
    """The path of a directory, as a target: one slash first, so that no name can become a host."""
    return "/" + "".join(quote(os.fsencode(name), safe="") + "/" for name in names)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_mode, status.st_size, *times


def _read(descriptor: int, size: int) -> bytes:
    """All of a file that had this size, as far as it has it now."""
    body = os.read(descriptor, size)
    while len(body) < size and (more := os.read(descriptor, size - len(body))):
        body += more
    return body


def _order(name: str) -> tuple[str, str]:
    return name.casefold(), name
