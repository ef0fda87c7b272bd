"""Scratch folders of bakes: whose they are, what a failed bake keeps in one, and how leftovers go."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.host import locks
from bakery.paths import StatePaths

PREFIX = "bake-"
KEPT = "kept"  # in the folder of a failed bake: holds the process id of the machine that was left up, if any
HEAVY = ("output", "packer_cache", "flat.qcow2")
END_SECONDS = 5.0


@contextmanager
def folder(state: StatePaths, name: str) -> Iterator[Path]:
    """A scratch folder for the bake of image ``name``; goes at the end unless :func:`keep` was called for it.

    What earlier failed bakes of the same image kept goes first.
    """
    clear(state, name)
    work = state.work / f"{PREFIX}{name}-{uuid.uuid4().hex[:8]}"
    work.mkdir(0o700, parents=True)  # there are keys in it
    locks.sign(work, f"baking {name}")
    try:
        yield work
    finally:
        if not (work / KEPT).exists():
            shutil.rmtree(work, ignore_errors=True)


def keep(work: Path, machine: int | None = None) -> None:
    """Keep the folder so that its bake can be replayed: without the disks, or all of it below a machine left up."""
    if machine is None:
        for name in HEAVY:
            path = work / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    (work / KEPT).write_text(str(machine or ""), encoding="utf-8")


def clear(state: StatePaths, name: str = "") -> list[str]:
    """Take away scratch folders of dead processes, and what failed bakes kept (of image ``name`` only, if given).

    Machines that were left up are ended. Returns what was cleared, a line each.
    """
    said = []
    for work in sorted(state.work.glob(f"{PREFIX}{name}-????????" if name else f"{PREFIX}*")):
        kept = work / KEPT
        if kept.exists():
            if _end(kept):
                said.append(f"ended the machine that a failed bake had left up ({work.name})")
            elif not name:
                continue  # only files, which its replay command needs
        elif not locks.deserted(work):
            continue
        else:
            said.append(f"cleared what a killed bake had left ({work.name})")
        shutil.rmtree(work, ignore_errors=True)
    return said


def _end(kept: Path) -> bool:
    """End the machine whose process id stands in the file, if it still is that machine; says whether it was."""
    text = kept.read_text(encoding="utf-8").strip()
    if not text or not _is_machine(int(text), kept.parent):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(text), signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and _is_machine(int(text), kept.parent):
            time.sleep(0.05)
        os.kill(int(text), signal.SIGKILL)
    return True


def _is_machine(pid: int, work: Path) -> bool:
    """Whether the process is a QEMU that runs in this folder: process ids are used again."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"qemu" in words and str(work).encode() in words
    return False
