"""What was worked out before, by the digest of what it was made from, in one file.

The file may be deleted, damaged or shared at any time. A line for each entry: key, checksum, content. Only as many
entries stay as the last run used.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FORMAT = "bakery-2"


class Remembered:
    """The file's entries; :meth:`write` keeps those that :meth:`get` and :meth:`put` had to do with."""

    def __init__(self, file: Path | None, head: bytes, lines: Mapping[bytes, bytes]) -> None:
        self._file = file
        self._head = head
        self._lines = lines
        self._used: dict[bytes, bytes] = {}
        self._fresh = False

    @classmethod
    def read(cls, file: Path | None, code: str) -> Remembered:
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
        if line is None or line[65:73] != _checksum(line[74:]):
            return None
        self._used[line[:64]] = line
        return line[74:]

    def put(self, key: str, content: bytes) -> None:
        """Remember a content, which has no line end in it."""
        if self._file is not None:
            self._used[key.encode()] = b" ".join((key.encode(), _checksum(content), content))
            self._fresh = True

    def write(self) -> None:
        """Replace the file when something changed. That it can't be written only costs time the next time."""
        if self._file is None or (not self._fresh and len(self._used) == len(self._lines)):
            return
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(b"\n".join((self._head, *self._used.values(), b"")))
            fresh.replace(self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink()


def _checksum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
