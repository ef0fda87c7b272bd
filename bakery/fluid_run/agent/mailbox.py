"""Where a machine's status and results go: a raw disk of a local machine, a folder elsewhere."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import wire
from .system import write_atomic
from .wire import Json

TYPE_CHECKING = False  # see wire.py
if TYPE_CHECKING:
    from typing import IO, Protocol

    Member = tuple[str, Path | bytes]  # the name of a result, and its file or its content

    class Mailbox(Protocol):
        """Takes status and results."""

        def send_status(self, content: Mapping[str, Json]) -> None:
            """Replace the status."""

        def send_results(self, members: Iterable[Member]) -> None:
            """Replace the results."""


def file_end(file: Path, limit: int) -> bytes:
    """Return the last ``limit`` bytes of a file, however fast it grows. Raises OSError."""
    with file.open("rb") as source:
        source.seek(max(0, os.fstat(source.fileno()).st_size - limit))
        return source.read(limit)


def write_tar(sink: IO[bytes], members: Iterable[Member]) -> None:
    """Write a tar of files (the last 16 MiB of each) and contents; a file may disappear or grow meanwhile."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            try:
                data = content if isinstance(content, bytes) else file_end(content, wire.FILE_LIMIT)
            except OSError as error:
                data = f"could not be read: {error}\n".encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, int(time.time())
            tar.addfile(info, io.BytesIO(data))


class DiskMailbox:
    """A raw disk that the host reads while it is written, see :mod:`.wire`."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self.sequence = 0

    def send_status(self, content: Mapping[str, Json]) -> None:
        """Overwrite the slot with the older status, so that one of the two is always complete."""
        self.sequence += 1
        with self.device.open("r+b") as disk:
            disk.seek(wire.SLOT * (self.sequence % 2))
            disk.write(wire.record(self.sequence, content).ljust(4096))
            disk.flush()
            os.fsync(disk.fileno())

    def send_results(self, members: Iterable[Member]) -> None:
        """Write the tar after the slots."""
        with self.device.open("r+b") as disk:
            disk.seek(wire.RESULTS_AT)
            write_tar(disk, members)
            disk.flush()
            os.fsync(disk.fileno())


class FolderMailbox:
    """A folder with ``status.json`` and ``results.tar``, each of which is replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def send_status(self, content: Mapping[str, Json]) -> None:
        """Replace ``status.json``."""
        write_atomic(self.folder / "status.json", json.dumps(content).encode())

    def send_results(self, members: Iterable[Member]) -> None:
        """Replace ``results.tar``."""
        buffer = io.BytesIO()
        write_tar(buffer, members)
        write_atomic(self.folder / "results.tar", buffer.getvalue())
