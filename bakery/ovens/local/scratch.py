"""Scratch folders of bakes: their owners, what a failed bake keeps in one, and how leftovers are deleted."""

import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.host import cgroups, locks
from bakery.host.files import abandoned, discard
from bakery.paths import StatePaths

PREFIX = "bake-"
KEPT = "kept"  # in the folder of a failed bake: the process id of its machine, if that still runs
FINISHED = "flat.qcow2"  # in the folder of a bake that has finished: its image, until it is published
FINISHED_SECONDS = 7 * 86400.0
HEAVY = ("output", "packer_cache", "disk.raw", "flattening.qcow2", FINISHED)
CGROUPS = "cgroups"  # in the folder of a container's bake: a list of its control groups
END_SECONDS = 5.0


@contextmanager
def folder(state: StatePaths, name: str) -> Iterator[Path]:
    """Yield a scratch folder for the bake of image ``name``; delete it afterwards unless :func:`keep` was called.

    If a bake has finished but could not be published, its folder is kept and is yielded again. Else, the folders that
    earlier failed bakes of the same image kept are deleted first.
    """
    finished = next(state.work.glob(f"{PREFIX}{name}-????????/{FINISHED}"), None)
    work = finished.parent if finished else state.work / f"{PREFIX}{name}-{uuid.uuid4().hex[:8]}"
    if finished is None:
        clear(state, name)
        work.mkdir(0o700, parents=True)  # it contains keys
    locks.sign(work, f"baking {name}")
    try:
        yield work
    except InfrastructureFailed as error:
        if (work / FINISHED).exists():
            error.hint += "; the finished bake is kept, the next up publishes it"
        raise
    finally:
        if (work / FINISHED).exists():
            discard(work / "output")
        elif not (work / KEPT).exists():
            discard(work)


def keep(work: Path, machine: int | None = None) -> None:
    """Keep the folder so that its bake can be replayed: without the disks, or completely for a machine left running."""
    if machine is None:
        for name in HEAVY:
            path = work / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    (work / KEPT).write_text(str(machine or ""), encoding="utf-8")


def clear(state: StatePaths, name: str = "", *, dry_run: bool = False) -> list[str]:
    """Delete the scratch folders of dead processes, and what failed bakes kept (of image ``name`` only, if given).

    Machines that were left running are ended. Returns a line for each of them; with ``dry_run`` nothing is changed.
    """
    done = []
    for work in sorted(state.work.glob(f"{PREFIX}{name}-????????" if name else f"{PREFIX}*")):
        kept, finished = work / KEPT, work / FINISHED
        if kept.exists():
            if _end(work, dry_run=dry_run):
                done.append(f"ended the machine that a failed bake had left up ({work.name})")
            elif not name:
                continue  # only files, which its replay command needs
        elif not locks.deserted(work):
            continue
        elif finished.exists() and time.time() - finished.stat().st_mtime < FINISHED_SECONDS:
            continue  # its image waits for its publication
        else:
            cgroups.remove(work / CGROUPS)
            done.append(f"cleared what a killed bake had left ({work.name})")
        if not dry_run:
            discard(work)
    for rest in abandoned(state.work):
        if not dry_run:
            shutil.rmtree(rest, ignore_errors=True)
        done.append(f"cleared what a killed process had begun to delete ({rest.name})")
    return done


def machine_of(work: Path) -> int | None:
    """Return the process id of the machine that a failed bake left up in its folder; None if it does not run."""
    with suppress(OSError, ValueError):
        pid = int((work / KEPT).read_text(encoding="utf-8"))
        return pid if _is_machine(pid, work) else None
    return None


def _end(work: Path, *, dry_run: bool) -> bool:
    """End the machine of the folder; return whether it ran."""
    pid = machine_of(work)
    if pid is None or dry_run:
        return pid is not None
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and _is_machine(pid, work):
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    return True


def _is_machine(pid: int, work: Path) -> bool:
    """Return whether the process is a QEMU that runs in this folder, since process ids are reused."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"qemu" in words and str(work).encode() in words
    return False
