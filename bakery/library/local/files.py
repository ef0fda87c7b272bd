"""The files of the local library: ``images/<digest>.qcow2`` and, for each image, a sidecar ``images/<name>.json``.

Beside an image may lie what its recipe brought back from the bake, in the folder ``images/<name>``.

A file gets its final name only when it is complete and on disk, and the sidecar stands before the image does: a crash
before the row was written leaves all that is needed to adopt the image. Sidecars stay, so that a lost database can be
filled again from the folder.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.codec import decode, encode
from bakery.errors import MAKE_ROOM, InfrastructureFailed, Uncertain
from bakery.host.files import sync_to_disk, write_atomic
from bakery.library.base import ImageRecord

SIDECAR_VERSION = 1
SCRATCH = ".publishing-"
READ_ONLY = 0o444  # machines boot from overlays; nothing may write to an image


@dataclass(frozen=True)
class Sidecar:
    """What stands beside an image: ``publication`` tells two publications of the same name apart."""

    publication: str
    record: ImageRecord
    version: int = SIDECAR_VERSION


class ImageFiles:
    """The folder ``images``. Raises Uncertain for what can't be read, InfrastructureFailed for a full disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, digest: str) -> Path:
        """Where the image of a digest lies, there or not."""
        return self.folder / f"{digest}.qcow2"

    def sidecar(self, name: str) -> Path:
        """Where the sidecar of an image lies, there or not."""
        return self.folder / f"{name}.json"

    def kept(self, name: str) -> Path:
        """The folder of what the bake brought back (``spack.lock``), there or not."""
        return self.folder / name

    def size(self, digest: str) -> int | None:
        """Bytes of an image's file; None when it is certain that there is none."""
        with _reading(self.image(digest)):
            try:
                return self.image(digest).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def listing(self) -> tuple[frozenset[str], frozenset[str]]:
        """Digests that have a file, and names that have a sidecar."""
        with _reading(self.folder):
            try:
                names = [path.name for path in self.folder.iterdir()]
            except FileNotFoundError:
                return frozenset(), frozenset()
        shown = [name for name in names if not name.startswith(".")]
        return (
            frozenset(name.removesuffix(".qcow2") for name in shown if name.endswith(".qcow2")),
            frozenset(name.removesuffix(".json") for name in shown if name.endswith(".json")),
        )

    def read(self, name: str) -> Sidecar | None:
        """The sidecar of an image; None when there is none, or one that this version can't use."""
        with _reading(self.sidecar(name)):
            try:
                content = self.sidecar(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            found = decode(Sidecar, json.loads(content))
        except ValueError:
            return None
        return found if found.version == SIDECAR_VERSION and found.record.name == name else None

    def publish(self, record: ImageRecord, qcow2: Path) -> Sidecar:
        """Move the file into the folder, durably; a file of the same digest that is there already is kept.

        Returns the sidecar that was written, its record with size and location. On an error nothing new is there.
        """
        final = self.image(record.digest)
        with self._writing(record):
            self.folder.mkdir(parents=True, exist_ok=True)
            there = final.exists()
            source = final if there else self._beside(qcow2)
            try:
                sync_to_disk(source)
                size = source.stat().st_size
                made = Sidecar(uuid.uuid4().hex, replace(record, size=size, location=str(final)))
                content = f"{json.dumps(encode(made), indent=1)}\n"
                write_atomic(self.sidecar(record.name), content.encode(), sync=True)
                if not there:
                    source.chmod(READ_ONLY)
                    source.replace(final)
                sync_to_disk(self.folder)
            except BaseException:
                if source not in (final, qcow2):
                    source.unlink(missing_ok=True)
                if not final.exists():
                    self.sidecar(record.name).unlink(missing_ok=True)
                raise
        qcow2.unlink(missing_ok=True)
        return made

    def remove(self, name: str, digest: str, shared: bool) -> int:
        """Take an image away: its sidecar, then (unless another image shares it) its file. Returns bytes freed."""
        size = 0 if shared else (self.size(digest) or 0)
        self.sidecar(name).unlink(missing_ok=True)
        shutil.rmtree(self.kept(name), ignore_errors=True)
        if not shared:
            self.image(digest).unlink(missing_ok=True)
        if self.folder.is_dir():
            sync_to_disk(self.folder)
        return size

    def scratch(self) -> list[Path]:
        """Scratch files whose process is gone."""
        with _reading(self.folder):
            found = self.folder.glob(f"{SCRATCH}*") if self.folder.is_dir() else iter(())
            return [path for path in found if not Path("/proc", path.name.split("-")[1]).exists()]

    def _beside(self, qcow2: Path) -> Path:
        """The file itself when a rename can move it here, else a copy in this folder."""
        if qcow2.stat().st_dev == self.folder.stat().st_dev:
            return qcow2
        copy = self.folder / f"{SCRATCH}{os.getpid()}-{uuid.uuid4().hex}"
        try:
            shutil.copyfile(qcow2, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy

    @contextmanager
    def _writing(self, record: ImageRecord) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise InfrastructureFailed(
                f"{record.name} could not be put into {self.folder}: {error.strerror or error}",
                hint=MAKE_ROOM if full else "check owner and permissions of that folder",
            ) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Uncertain(f"{path} can't be read: {error.strerror}", hint="check its owner and permissions") from error
