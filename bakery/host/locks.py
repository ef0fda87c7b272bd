"""Locks between processes that can't become stale, and the owners of scratch folders.

A lock is flock(2) on a file: the kernel releases it when its process ends, for whatever reason. The content of the file
only names the holder to the processes that wait.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bakery.errors import BakeryError, InfrastructureFailed
from bakery.host import proc
from bakery.host.files import write_atomic
from bakery.progress.activity import Activity

POLL_SECONDS = 0.25
OWNER_FILE = "owner.json"
SIGN_SECONDS = 60.0  # from the creation of a scratch folder to its signature, on a very busy machine


@dataclass(frozen=True)
class Owner:
    """A process, identified uniquely: ``started`` is its start in clock ticks since the boot ``boot``."""

    pid: int
    started: int
    boot: str
    what: str

    @property
    def alive(self) -> bool:
        """Whether this process still runs; a new process with the same id does not count."""
        return self.boot == proc.boot_id() and self.started == _started(self.pid)


def this_process(what: str) -> Owner:
    """Return this process as an owner; ``what`` is its work."""
    return Owner(os.getpid(), _started(os.getpid()), proc.boot_id(), what)


def sign(folder: Path, what: str) -> None:
    """Record this process as the owner of a scratch folder; one that can't be signed is deleted if it is empty.

    Otherwise it would count as another process's for SIGN_SECONDS. Raises InfrastructureFailed, if the disk is full.
    """
    try:
        write_atomic(folder / OWNER_FILE, json.dumps(asdict(this_process(what))).encode())
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def owner(folder: Path) -> Owner | None:
    """Return the owner of a scratch folder; None if none is recorded."""
    try:
        return Owner(**json.loads((folder / OWNER_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def deserted(folder: Path) -> bool:
    """Return whether a scratch folder has no owner: its process ended, or the folder is older and was never signed."""
    recorded = owner(folder)
    if recorded is not None:
        return not recorded.alive
    try:
        return time.time() - folder.stat().st_mtime > SIGN_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def hold(
    file: Path, what: str, activity: Activity | None = None, waiting: Callable[[str], None] | None = None
) -> Iterator[bool]:
    """Hold the lock; yield whether another process had it first.

    ``waiting`` is called once with the work of the holder. Raises Interrupted if the activity is cancelled, and
    InfrastructureFailed if the file can't be created.
    """
    with opened(file) as handle:
        waited = not try_lock(handle)
        if waited and waiting:
            waiting(_holder(handle))
        while waited and not try_lock(handle):
            (activity or Activity()).sleep(POLL_SECONDS)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "what": what}).encode(), 0)
        yield waited


@contextmanager
def opened(file: Path, kind: type[BakeryError] = InfrastructureFailed) -> Iterator[int]:
    """Yield the descriptor of a lock file, which is created if it does not exist; its lock ends with the block.

    Lock files are never removed: if another process opens one meanwhile, the lock would be split in two. Raises an
    error of ``kind`` if the file can't be opened.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        hint = "check its owner and permissions, and the free space of the disk"
        raise kind(f"{file} can't be locked: {error.strerror}", hint=hint) from error
    try:
        yield handle
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Take the lock of an open file if it is free; return whether it was."""
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _holder(handle: int) -> str:
    """Return what the holder does, as it recorded it."""
    try:
        content = json.loads(os.pread(handle, 4096, 0))
        return f"{content['what']} (process {content['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _started(pid: int) -> int:
    """Return the start of a process in clock ticks since the boot; -1 if there is no such process."""
    state = proc.stat(pid)
    return state.started if state else -1
