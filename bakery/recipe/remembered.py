"""Checked recipes by the digest of their contents, in one file that may be deleted, damaged or shared at any time.

A line for each: digest, checksum, JSON. JSON since it can only hold values: nothing runs when it is read. Only as
many entries stay as the last load used.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bakery.recipe.checked import Checked, from_json, to_json

FORMAT = "bakery-recipes-1"


class Remembered:
    """The file's entries; :meth:`get` decodes one, :meth:`add` takes a new one, :meth:`write` keeps what was used."""

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

    def get(self, key: str) -> Checked | None:
        """The entry of that digest; None when it is not there or damaged."""
        line = self._lines.get(key.encode())
        if line is None or line[65:73] != _checksum(line[74:]):
            return None
        try:
            made = from_json(json.loads(line[74:]))
        except (ValueError, RecursionError, TypeError, KeyError):
            return None
        self._used[line[:64]] = line
        return made

    def add(self, key: str, entry: Checked) -> Checked:
        """Remember an entry, and hand it back."""
        if self._file is not None:
            written = json.dumps(to_json(entry), separators=(",", ":")).encode()
            self._used[key.encode()] = b" ".join((key.encode(), _checksum(written), written))
            self._fresh = True
        return entry

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
