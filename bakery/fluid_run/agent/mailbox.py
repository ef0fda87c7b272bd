"""How a machine reports: its status, results and log, through a raw disk of a local machine or a folder elsewhere."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import wire
from .system import LOGS, write_atomic
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


class Reporter:
    """Sends the status when it changes and the results when asked; log lines go to the console and to a file."""

    def __init__(self, mailbox: Mailbox, name: str, logs: Path = LOGS) -> None:
        self.mailbox = mailbox
        self.logs = logs
        self.results: list[Member] = []  # sent together with the logs
        self.status: dict[str, Json] = {"machine": name, "stage": "start", "ended": False, "error": "", "blame": ""}
        logs.mkdir(parents=True, exist_ok=True)

    def update(self, **values: Json) -> None:
        """Change the status, and send it if a value is different."""
        changed = {key: value for key, value in values.items() if self.status.get(key, self) != value}
        if changed:
            self.status.update(changed)
            self.mailbox.send_status(self.status)

    def log(self, text: str) -> None:
        """Write one line with the seconds since the machine started."""
        line = f"[{time.monotonic():8.1f}] {text}"
        print(line, flush=True)
        # A job may have filled the disk.
        with contextlib.suppress(OSError), (self.logs / "agent.log").open("a", encoding="utf-8") as sink:
            sink.write(line + "\n")

    def send_results(self) -> None:
        """Send the results so far and the log files."""
        logs = [(f"logs/{file.name}", file) for file in sorted(self.logs.iterdir()) if file.is_file()]
        self.mailbox.send_results([*self.results, *logs])
