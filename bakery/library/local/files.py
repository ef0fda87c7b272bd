"""The files of the local library: ``images/<digest>.qcow2`` and, for each image, a sidecar ``images/<name>.json``.

The folder ``images/<name>`` holds the files that the recipe downloads from the machine that bakes, if any.

A file gets its final name only after it was written to disk completely, and after its sidecar. If the process crashes
before the database row is written, the image can therefore be adopted. Sidecars stay, so that a lost database can be
restored from the folder.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.codec import decode, encode
from bakery.errors import Uncertain, from_os_error
from bakery.host.files import abandoned, hidden_beside, sync_to_disk, write_atomic
from bakery.library.base import ImageRecord

SIDECAR_VERSION = 1
OLD_SCRATCH = ".publishing-"  # of versions up to 0.1.0; the ID of the process follows
READ_ONLY = 0o444  # machines boot from overlays; nothing may write to an image


@dataclass(frozen=True)
class Sidecar:
    """The file beside an image. ``publication`` tells two publications of the same name apart.

    ``sha256`` is that of the image's file; "" in sidecars of versions up to 0.1.0.
    """

    publication: str
    record: ImageRecord
    version: int = SIDECAR_VERSION
    sha256: str = ""


class ImageFiles:
    """The folder ``images``. Raises Uncertain if a file can't be read, InfrastructureFailed if it can't be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = str(folder)

    def location(self, digest: str) -> str:
        """Return the path of the image of a digest as text, which takes less time for thousands."""
        return f"{self._prefix}/{digest}.qcow2"

    def image(self, digest: str) -> Path:
        """Return the path of the image of a digest, which may not exist."""
        return Path(self.location(digest))

    def sidecar(self, name: str) -> Path:
        """Return the path of the sidecar of an image, which may not exist."""
        return self.folder / f"{name}.json"

    def kept(self, name: str) -> Path:
        """Return the folder of the files that were downloaded from the bake (``spack.lock``); it may not exist."""
        return self.folder / name

    def size(self, digest: str) -> int | None:
        """Return the size of an image's file in bytes; None if it certainly does not exist."""
        with _reading(self.image(digest)), suppress(FileNotFoundError, NotADirectoryError):
            return self.image(digest).stat().st_size
        return None

    def listing(self) -> tuple[dict[str, int], frozenset[str]]:
        """Return the sizes of the files in bytes by digest, and the names that have a sidecar."""
        with _reading(self.folder):
            try:
                entries = [entry for entry in os.scandir(self.folder) if not entry.name.startswith(".")]
            except FileNotFoundError:
                return {}, frozenset()
        sizes = {}
        for entry in entries:
            if entry.name.endswith(".qcow2"):
                try:
                    sizes[entry.name.removesuffix(".qcow2")] = entry.stat().st_size
                except FileNotFoundError:
                    continue  # it was removed meanwhile
                except OSError as error:
                    raise _unreadable(Path(entry), error) from error
        return sizes, frozenset(entry.name.removesuffix(".json") for entry in entries if entry.name.endswith(".json"))

    def read_sidecar(self, name: str) -> Sidecar | None:
        """Return the sidecar of an image; None if it does not exist or this version cannot use it."""
        with _reading(self.sidecar(name)):
            try:
                content = self.sidecar(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            sidecar = decode(Sidecar, json.loads(content))
        except ValueError:
            return None
        return sidecar if sidecar.version == SIDECAR_VERSION and sidecar.record.name == name else None

    def publish(self, record: ImageRecord, qcow2: Path) -> Sidecar:
        """Move the file into the folder, durably; an existing file of the digest is kept unless it is damaged.

        Returns the new sidecar, whose record has size and location. On an error the folder is unchanged.
        """
        final = self.image(record.digest)
        with writing(final):
            self.folder.mkdir(parents=True, exist_ok=True)
            former = self.read_sidecar(record.name)
            exists = final.exists() and (former is None or former.record.size == self.size(record.digest))
            source = final if exists else self._beside(qcow2, final)
            try:
                sync_to_disk(source)
                size = source.stat().st_size
                sidecar = Sidecar(
                    uuid.uuid4().hex, replace(record, size=size, location=str(final)), sha256=sha256(source)
                )
                content = f"{json.dumps(encode(sidecar), indent=1)}\n"
                write_atomic(self.sidecar(record.name), content.encode(), sync=True)
                if not exists:
                    source.chmod(READ_ONLY)
                    source.replace(final)
                sync_to_disk(self.folder)
            except BaseException:
                if source not in (final, qcow2):
                    source.unlink(missing_ok=True)
                if not final.exists():
                    self.sidecar(record.name).unlink(missing_ok=True)
                raise
        if qcow2 != final:  # else another image of the digest has it too
            qcow2.unlink(missing_ok=True)
        return sidecar

    def remove(self, name: str, digest: str, shared: bool) -> int:
        """Remove an image: its sidecar, then (unless another image shares it) its file. Return the bytes freed."""
        size = 0 if shared else (self.size(digest) or 0)
        self.sidecar(name).unlink(missing_ok=True)
        shutil.rmtree(self.kept(name), ignore_errors=True)
        if not shared:
            self.image(digest).unlink(missing_ok=True)
        if self.folder.is_dir():
            sync_to_disk(self.folder)
        return size

    def abandoned(self) -> list[Path]:
        """Return the scratch files whose process no longer runs."""
        with _reading(self.folder):
            return abandoned(self.folder, OLD_SCRATCH)

    def _beside(self, qcow2: Path, final: Path) -> Path:
        """Return the file itself if a rename can move it here, else a copy in this folder."""
        if qcow2.stat().st_dev == self.folder.stat().st_dev:
            return qcow2
        copy = hidden_beside(final)
        try:
            shutil.copyfile(qcow2, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content in hex; about a second for 1 GB."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Turn an error of the operating system in the block into the bakery's, about ``file``."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(file), None
        raise from_os_error(error) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Uncertain:
    return Uncertain(f"{path} can't be read: {error.strerror}", hint="check its owner and permissions")
