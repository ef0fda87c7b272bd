"""Boot snapshots: the state of emulated machines that have booted and wait, from which later machines continue.

A snapshot is a folder ``<state>/snapshots/<name>`` with memory and devices, an overlay with what the boot wrote to the
disk, the kernel that QEMU loads, and the console of the boot. Its name is the digest of everything that led to it. It
has no secret: nothing of a run exists when it is taken. It is used until this computer restarts, as the clock of a
processor and QEMU's files may be others then. A folder gets its name when all of it is written, so a kill leaves no
half snapshot.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import from_os_error
from bakery.host import proc
from bakery.host.boot_files import BootFiles
from bakery.host.files import abandoned, discard, hidden_beside, write_atomic
from bakery.paths import StatePaths
from bakery.settings import SnapshotSettings

NAME_LENGTH = 24
ABOUT = "about.json"
STATE = "machine.state"
MACHINE = "saved"  # the name of the machine: its files are saved.qcow2, saved.console.log
MARGIN = 4 << 30  # bytes that stay free for bakes and tests


@dataclass(frozen=True)
class BootSnapshot:
    """A snapshot, and the kernel that its machine was booted with."""

    folder: Path

    @property
    def state(self) -> Path:
        """Memory and devices, as QEMU saves them."""
        return self.folder / STATE

    @property
    def disk(self) -> Path:
        """The disk that goes with it: an overlay on the image."""
        return self.folder / f"{MACHINE}.qcow2"

    @property
    def console(self) -> Path:
        """What the boot wrote to the console."""
        return self.folder / f"{MACHINE}.console.log"

    @property
    def files(self) -> BootFiles:
        """The kernel that QEMU needs to make the same machine; it is not started again."""
        return BootFiles(self.folder / "vmlinuz", self.folder / "initrd", "")


@dataclass(frozen=True)
class BootSnapshots:
    """The snapshots of a stack: ``budget`` bytes for all of them."""

    folder: Path
    budget: int

    def lock(self, name: str) -> Path:
        """Return the file that the process locks that makes this snapshot; others may share it."""
        return self.folder / f"{name[:2]}.lock"

    def find(self, name: str) -> BootSnapshot | None:
        """Return a snapshot and record its use; None if there is none."""
        found = BootSnapshot(self.folder / name)
        try:
            os.utime(found.folder / ABOUT)
        except OSError:
            return None
        return found

    def scratch(self) -> Path:
        """Make a scratch folder, which :meth:`publish` makes a snapshot. Raises InfrastructureFailed."""
        made = hidden_beside(self.folder / "snapshot")
        try:
            made.mkdir(0o700, parents=True)  # what is in an image may be private
        except OSError as error:
            raise from_os_error(error) from error
        return made

    def publish(self, scratch: Path, name: str, image: Path) -> BootSnapshot:
        """Make a scratch folder the snapshot ``name`` of an image, and delete the least used ones beyond the budget.

        Raises InfrastructureFailed.
        """
        about = {"boot": proc.boot_id(), "image": str(image)}
        try:
            write_atomic(scratch / ABOUT, json.dumps(about).encode())
            scratch.rename(self.folder / name)
        except OSError as error:
            raise from_os_error(error) from error
        self.prune()
        return BootSnapshot(self.folder / name)

    def lack(self, memory_mb: int) -> str:
        """Return why there is no room for the snapshot of a machine; empty if there is."""
        place = next(parent for parent in (self.folder, *self.folder.parents) if parent.exists())
        free = shutil.disk_usage(place).free
        return "" if free >= (memory_mb << 20) + MARGIN else f"the disk of {place} has only {free >> 20} MiB left"

    def prune(self, *, dry_run: bool = False) -> int:
        """Delete snapshots that can't be used any more, and the least used ones beyond the budget.

        Return their bytes; with ``dry_run``, only return them.
        """
        kept = freed = 0
        for folder, _ in sorted(self._all(), key=lambda one: one[1], reverse=True):
            size = _size(folder)
            if _usable(folder) and kept + size <= self.budget:
                kept += size
                continue
            freed += size
            if not dry_run:
                discard(folder)
        return freed

    def _all(self) -> Iterator[tuple[Path, float]]:
        for about in self.folder.glob(f"[!.]*/{ABOUT}"):
            with suppress(FileNotFoundError):  # another process deleted it
                yield about.parent, about.stat().st_mtime


def boot_snapshots(state: StatePaths, settings: SnapshotSettings) -> BootSnapshots:
    """Return the snapshots of a stack."""
    return BootSnapshots(state.snapshots, settings.budget_gb << 30)


def clear(state: StatePaths, *, dry_run: bool = False) -> list[str]:
    """Delete what killed processes had not finished, and return a line for each."""
    done = []
    for rest in abandoned(state.snapshots):
        if not dry_run:
            shutil.rmtree(rest, ignore_errors=True)
        done.append(f"cleared a boot snapshot that a killed process had not finished ({rest.name})")
    return done


def name(image: Path, program: Path, words: Sequence[str]) -> str:
    """Return the name of a snapshot: the digest of the image, QEMU's program, and ``words`` about the machine.

    Neither of the two files is read: every new content of them is a new file. Raises OSError.
    """
    files = [(str(file.resolve()), *_stamp(file.resolve())) for file in (image, program)]
    return hashlib.sha256(json.dumps([proc.boot_id(), files, *words]).encode()).hexdigest()[:NAME_LENGTH]


def _stamp(file: Path) -> tuple[int, int, int]:
    info = file.stat()
    return info.st_ino, info.st_size, info.st_mtime_ns


def _usable(folder: Path) -> bool:
    """Return whether a snapshot was made since this computer started, of an image that still exists."""
    with suppress(OSError, ValueError, KeyError):
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return bool(about["boot"] == proc.boot_id() and Path(about["image"]).exists())
    return False


def _size(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):
        total = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    return total
