"""A small disk of its own, which a test can fill to the last byte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A disk in memory; the test is skipped if this user may not mount one."""
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte; return the file that does."""
    file = disk / "fill"
    with file.open("ab", buffering=0) as sink:
        try:
            while sink.write(bytes(4096)):
                pass
        except OSError:
            return file
    raise AssertionError("not reached")
