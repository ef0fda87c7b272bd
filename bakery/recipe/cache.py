"""What was worked out before, by the digest of what it was made from, in one file.

The file may be deleted, damaged or shared at any time. A line for each entry: key, checksum, content; the last of a key
counts. New ones are added at the end; when more than a fifth is not used any more, the file is written anew.
"""

from __future__ import annotations

import glob
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.host.files import write_atomic

FORMAT = "bakery-2"
OLD = 90 * 86400  # seconds since a file was last written: its tree is gone, or will be read in seconds


class PackageCache:
    """The file's entries; :meth:`write` keeps those that :meth:`get` and :meth:`put` had to do with."""

    def __init__(self, file: Path | None, head: bytes, lines: Mapping[bytes, bytes]) -> None:
        self._file = file
        self._head = head
        self._seed = zlib.crc32(head)
        self._lines = lines
        self._used: dict[bytes, bytes] = {}

    @classmethod
    def read(cls, file: Path | None, code: str) -> PackageCache:
        """What ``file`` holds from the same ``code``; nothing is remembered without a file."""
        head = f"{FORMAT} {code}".encode()
        if file is None:
            return cls(None, head, {})
        try:
            first, *rest = file.read_bytes().split(b"\n")
        except OSError:
            return cls(file, head, {})
        return cls(file, head, {line[:64]: line for line in rest if line} if first == head else {})

    def get(self, key: str) -> bytes | None:
        """The content under a key (64 characters); None when it is not there or damaged."""
        line = self._lines.get(key.encode())
        if line is None or line[65:73] != self._checksum(line[74:]):
            return None
        self._used[line[:64]] = line
        return line[74:]

    def put(self, key: str, content: bytes) -> None:
        """Remember a content, which has no line end in it."""
        if self._file is not None:
            self._used[key.encode()] = b" ".join((key.encode(), self._checksum(content), content))

    def write(self) -> None:
        """Add what is new, or write all anew when much of it is old. Where that can't be, the next run takes longer."""
        if self._file is None:
            return
        fresh = [line for key, line in self._used.items() if self._lines.get(key) is not line]
        old = len(self._lines) + len(fresh) - len(self._used)
        try:
            if self._lines and old <= len(self._used) // 4:
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
        if not self._file.exists():
            _sweep(self._file)
        write_atomic(self._file, b"\n".join((self._head, *self._used.values(), b"")))

    def _checksum(self, content: bytes) -> bytes:
        """Of the head too: what another version of the code adds to the file meanwhile is nothing to this one."""
        return b"%08x" % zlib.crc32(content, self._seed)


def _sweep(new: Path) -> None:
    """Take away what other trees left behind long ago; ``new`` and they are named ``<what>-<tree>``."""
    kind = glob.escape(new.name.rpartition("-")[0])
    for file in new.parent.glob(f"{kind}-*"):
        with suppress(OSError):
            if file.stat().st_mtime < time.time() - OLD:
                file.unlink()
