"""A cache in one file: contents by the digest of their input.

The file may be deleted, damaged or shared at any time. It has a line for each entry: key, checksum, content; the last
line of a key counts. New entries are appended. When more than a fifth of the entries are no longer used, the whole file
is written again.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from bakery.errors import InfrastructureFailed

FORMAT = "bakery-2"
MAX_AGE = 90 * 86400  # seconds since the last write; an older file belongs to a tree that is gone or seldom read
# The code that decides the cached contents: parts of bakery/ that read and plan recipes.
CODE = ("recipe", "plan", "settings", "errors.py", "codec.py")
CODE_FILES = (".py", ".json")


class PackageCache:
    """The entries of a file. :meth:`write` keeps those that were read with :meth:`get` or added with :meth:`put`."""

    def __init__(self, file: Path | None, code: str) -> None:
        """Read the entries that the same ``code`` wrote to ``file``; without a file nothing is stored."""
        self._file = file
        self._head = f"{FORMAT} {code}".encode()
        self._seed = zlib.crc32(self._head)
        self._data = b""
        self._places: dict[bytes, slice] = {}  # of the lines in the data: copies of all lines cost more than the rest
        self._used: dict[bytes, slice | bytes] = {}
        with suppress(OSError):
            self._data = file.read_bytes() if file else b""
        if self._data.startswith(self._head + b"\n"):
            start = len(self._head) + 1
            while (end := self._data.find(b"\n", start)) >= 0:
                self._places[self._data[start : start + 64]] = slice(start, end)
                start = end + 1

    def get(self, key: str, *, verify: bool = True) -> bytes | None:
        """Return the content of a key (64 characters), or None when it is missing or, if it is verified, damaged."""
        name = key.encode()
        place = self._places.get(name)
        if place is None:
            return None
        content = self._data[place.start + 74 : place.stop]
        if verify and self._data[place.start + 65 : place.start + 73] != self._checksum(content):
            return None
        self._used[name] = place
        return content

    def put(self, key: str, content: bytes) -> None:
        """Store a content that contains no line end."""
        if self._file is not None:
            self._used[key.encode()] = b" ".join((key.encode(), self._checksum(content), content))

    def write(self) -> None:
        """Append the new entries, or write the whole file when many are old. A failure only slows the next run."""
        if self._file is None:
            return
        fresh = [line for line in self._used.values() if isinstance(line, bytes)]
        old = len(self._places) + len(fresh) - len(self._used)
        try:
            if self._places and old <= len(self._used) // 4:
                self._append(fresh)
            else:
                self._replace()
        except (OSError, InfrastructureFailed):
            return

    def _append(self, lines: list[bytes]) -> None:
        if lines and self._file is not None:
            with self._file.open("ab") as file:
                file.write(b"\n".join((*lines, b"")))

    def _replace(self) -> None:
        assert self._file is not None
        from bakery.host.files import write_atomic  # not needed while nothing changes

        if not self._file.exists():
            _remove_old(self._file)
        lines = (line if isinstance(line, bytes) else self._data[line] for line in self._used.values())
        write_atomic(self._file, b"\n".join((self._head, *lines, b"")))

    def _checksum(self, content: bytes) -> bytes:
        """Return a checksum that covers the head too: entries appended by another version of the code are ignored."""
        return b"%08x" % zlib.crc32(content, self._seed)


def open_cache(folder: Path | None, name: str, packages: Path) -> PackageCache:
    """Return the cache ``name`` of the tree ``packages``, a file in ``folder``; it is valid for the same code only."""
    file = folder and folder / f"{name}-{digest_of(os.path.realpath(packages))[:12]}"
    return PackageCache(file, _code_digest())


def digest_of(*parts: str) -> str:
    """SHA-256 in hex of texts that contain no NUL, such as paths and digests."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


@cache
def _code_digest() -> str:
    """SHA-256 of the code that reads and plans recipes: an entry of another version must not be used.

    Only the content is reliable. A checkout or an edit can change a file and keep its size and time.
    """
    top = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes twice as long as the reading
    found = hashlib.sha256()
    for source in sorted(source for name in CODE for source in _sources(f"{top}/{name}")):
        with open(source, "rb") as file:  # noqa: PTH123
            content = file.read()
        found.update(b"%d\0%b" % (len(content), content))
    return found.hexdigest()


def _sources(path: str) -> Iterator[str]:
    """Yield the code files below a folder, or the path itself when it is such a file."""
    if path.endswith(CODE_FILES):
        yield path
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.endswith(CODE_FILES) or (entry.is_dir() and entry.name != "__pycache__"):
                yield from _sources(entry.path)


def _remove_old(new: Path) -> None:
    """Remove the old files of other trees. They and ``new`` are named ``<cache>-<tree>``."""
    kind = new.name.rpartition("-")[0]
    for file in new.parent.glob("*"):
        with suppress(OSError):
            if file.name.rpartition("-")[0] == kind and file.stat().st_mtime < time.time() - MAX_AGE:
                file.unlink()
