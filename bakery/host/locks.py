"""Locks between processes that can't go stale, and who owns a scratch folder.

A lock is flock(2) on a file: the kernel drops it with its process, however that ends. What stands in the file only
tells others whom they wait for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.host.files import write_atomic
from bakery.host.qemu import boot_id
from bakery.progress.activity import Activity

POLL_SECONDS = 0.25
OWNER_FILE = "owner.json"
SIGN_SECONDS = 60.0  # from making a scratch folder to its signature, on a machine that is very busy


@dataclass(frozen=True)
class Owner:
    """A process, told from every other one there ever was: ``started`` is its start in clock ticks since ``boot``."""

    pid: int
    started: int
    boot: str
    what: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return self.boot == boot_id() and self.started == _started(self.pid)


def this_process(what: str) -> Owner:
    """This process as an owner, doing ``what``."""
    return Owner(os.getpid(), _started(os.getpid()), boot_id(), what)


def sign(folder: Path, what: str) -> None:
    """Write into a scratch folder whose it is."""
    write_atomic(folder / OWNER_FILE, json.dumps(asdict(this_process(what))).encode())


def owner(folder: Path) -> Owner | None:
    """Whose scratch folder it is; None when it does not say."""
    try:
        found = Owner(**json.loads((folder / OWNER_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found


def deserted(folder: Path) -> bool:
    """Whether a scratch folder is nobody's: its owner is gone, or it was made a while ago and nobody ever signed it."""
    found = owner(folder)
    if found is not None:
        return not found.alive
    try:
        return time.time() - folder.stat().st_mtime > SIGN_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def hold(
    file: Path, what: str, activity: Activity | None = None, waiting: Callable[[str], None] | None = None
) -> Iterator[bool]:
    """Hold the lock; yields whether somebody else had it first.

    ``waiting`` is told once what the holder does. Raises Interrupted when the activity is cancelled, and
    InfrastructureFailed when the file can't be made.
    """
    handle = _open(file)
    try:
        waited = not try_lock(handle)
        if waited:
            if waiting:
                waiting(_holder(handle))
            _wait(handle, activity or Activity())
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "what": what}).encode(), 0)
        yield waited
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Take the lock of an open file if it is free."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _wait(handle: int, activity: Activity) -> None:
    while not try_lock(handle):
        activity.sleep(POLL_SECONDS)


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        hint = "check its owner and permissions, and the free space of the disk"
        raise InfrastructureFailed(f"{file} can't be locked: {error.strerror}", hint=hint) from error


def _holder(handle: int) -> str:
    """What the holder does, in its own words."""
    try:
        content = json.loads(os.pread(handle, 4096, 0))
        return f"{content['what']} (process {content['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _started(pid: int) -> int:
    """Field 22 of /proc/PID/stat, proc(5); -1 when there is no such process or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] == b"Z" else int(fields[19])
