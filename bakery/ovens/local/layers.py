"""Layers: disks of bakes as they were after some of their provisioners, from which later bakes continue.

A layer is a raw disk image ``<state>/layers/<name>.raw``, complete in itself: no other layer and no base image is
needed to use it. Its name is the digest of everything that led to it (:mod:`bakery.ovens.local.layer_names`). Its times
are those of the file: the modification time is that of its oldest content, that is of the start of the bake that began
from nothing; the access time is that of its last use. A file gets its name when all of it is on the disk, so a kill or
a power cut leaves no half layer.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import CommandFailed, from_os_error
from bakery.host import process
from bakery.host.files import abandoned, hidden_beside, sync_to_disk
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import LayerSettings

SUFFIX = ".raw"
DAY = 86400.0
MARGIN = 4 << 30  # bytes that stay free for bakes and tests


@dataclass(frozen=True)
class Layers:
    """The layers of a stack: ``budget`` bytes for all of them, each is used until it is ``age`` seconds old."""

    folder: Path
    budget: int
    age: float

    def file(self, name: str) -> Path:
        """Return the path of a layer, which may not exist."""
        return self.folder / f"{name}{SUFFIX}"

    def deepest(self, names: Sequence[str]) -> int:
        """Return the number of the last of ``names`` that can be used, counted from 1; 0 if none can."""
        return next((number for number in range(len(names), 0, -1) if self._usable(names[number - 1])), 0)

    def _usable(self, name: str) -> bool:
        with suppress(OSError):
            return 0 <= time.time() - self.file(name).stat().st_mtime < self.age
        return False

    def restore(self, name: str, disk: Path, activity: Activity) -> float:
        """Copy a layer to ``disk`` and return the time of its oldest content. Raises InfrastructureFailed."""
        layer = self.file(name)
        try:
            born = layer.stat().st_mtime
            os.utime(layer, (time.time(), born))
        except OSError as error:
            raise from_os_error(error) from error
        _copy(layer, disk, activity)
        return born

    def copy(self, disk: Path, activity: Activity) -> Path:
        """Copy a disk to a scratch file, which :meth:`publish` makes a layer. Raises InfrastructureFailed."""
        scratch = hidden_beside(self.folder / "layer")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(disk, scratch, activity)
        except OSError as error:
            raise from_os_error(error) from error
        return scratch

    def publish(self, scratch: Path, name: str, born: float) -> None:
        """Make a scratch file the layer ``name``, and delete the least used ones beyond the budget.

        Raises InfrastructureFailed.
        """
        try:
            os.utime(scratch, (time.time(), born))
            sync_to_disk(scratch)
            scratch.rename(self.file(name))
            sync_to_disk(self.folder)
        except OSError as error:
            raise from_os_error(error) from error
        finally:
            scratch.unlink(missing_ok=True)
        self.prune()

    def lack(self, disk: Path) -> str:
        """Return why there is no room for a layer of this disk; empty if there is."""
        needed = size(disk)
        if needed > self.budget:
            return f"it has {needed / (1 << 30):.1f} GiB, more than local.layers.budgetGb"
        free = self._free()
        return "" if free >= needed + MARGIN else f"the disk of {self.folder} has only {free >> 20} MiB left"

    def prune(self, *, dry_run: bool = False) -> int:
        """Delete layers that are too old, and the least used ones beyond the budget or on a disk that is nearly full.

        What killed processes left is deleted, too. Return the bytes of the layers; with ``dry_run``, only return them.
        """
        for rest in () if dry_run else abandoned(self.folder):
            rest.unlink(missing_ok=True)
        found = sorted(self._all(), key=lambda one: one[1].st_atime, reverse=True)
        short = max(0, MARGIN - self._free())
        limit = min(self.budget, sum(_size(info) for _, info in found) - short)
        kept = freed = 0
        for file, info in found:
            if time.time() - info.st_mtime < self.age and kept + _size(info) <= limit:
                kept += _size(info)
                continue
            freed += _size(info)
            if not dry_run:
                file.unlink(missing_ok=True)
        return freed

    def _free(self) -> int:
        place = next(parent for parent in (self.folder, *self.folder.parents) if parent.exists())
        return shutil.disk_usage(place).free

    def _all(self) -> Iterator[tuple[Path, os.stat_result]]:
        for file in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another bake deleted it
                yield file, file.stat()


def layers(state: StatePaths, settings: LayerSettings) -> Layers:
    """Return the layers of a stack."""
    return Layers(state.layers, settings.budget_gb << 30, settings.days * DAY)


def clear(state: StatePaths, *, dry_run: bool = False) -> list[str]:
    """Delete the scratch files of killed processes, and return a line for each."""
    done = []
    for rest in abandoned(state.layers):
        if not dry_run:
            rest.unlink(missing_ok=True)
        done.append(f"cleared a layer that a killed bake had not finished ({rest.name})")
    return done


def size(disk: Path) -> int:
    """Return how many bytes a sparse file has on the disk."""
    return _size(disk.stat())


def _size(info: os.stat_result) -> int:
    return info.st_blocks * 512


def _copy(source: Path, target: Path, activity: Activity) -> None:
    """Copy a sparse file; where the file system can, both share their blocks. Raises InfrastructureFailed."""
    command = ["cp", "--reflink=auto", "--sparse=auto", "--", str(source), str(target)]
    try:
        process.run(command, activity=activity)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, CommandFailed):
            raise error.as_infrastructure(f"{source.name} could not be copied: {error.tail[-1:]}") from error
        raise
