"""Atomic file writes: the only place where the bakery replaces a file that another thread or process may read."""

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterable
from functools import cache, partial
from pathlib import Path

from bakery.errors import from_os_error

SCRATCH = ".writing-"
ABANDONED_SECONDS = 3600.0  # since the last write to a scratch file: its writer was killed


def write_atomic(file: Path, content: bytes | Iterable[bytes], *, mode: int = 0o666, sync: bool = False) -> None:
    """Replace ``file`` in one step: a reader sees the previous content or the new content, never a part of it.

    Safe among threads and processes, since every call has its own scratch file in the same folder; the last call wins.
    The folder is created if it does not exist. ``content`` may be given in chunks; an error of that iterable is passed
    on, and the file is not changed. ``mode`` is that of open(2), before the umask. With ``sync`` the file and its
    folder are written to disk with fsync(2) before the function returns, so that the content survives a power cut;
    without it, only a crash of the process is survived. Raises InfrastructureFailed if the operating system refuses.
    """
    scratch = hidden_beside(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _sweep(file.parent)
        with open(scratch, "xb", opener=partial(os.open, mode=mode)) as sink:
            sink.writelines((content,) if isinstance(content, bytes) else content)
        if sync:
            sync_to_disk(scratch)
        scratch.replace(file)
        if sync:
            sync_to_disk(file.parent)
    except OSError as error:
        error.filename, error.filename2 = str(file), None
        raise from_os_error(error) from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or never existed
            scratch.unlink()


def hidden_beside(path: Path) -> Path:
    """Return an unused hidden path in the folder of ``path``, from which a rename to ``path`` is atomic.

    Its name contains the ID of this process.
    """
    return path.with_name(f"{SCRATCH}{os.getpid()}-{os.urandom(16).hex()}")


def discard(folder: Path) -> None:
    """Delete a folder. It is renamed first, so that it is gone at once, and :func:`abandoned` finds the rest of it."""
    gone = hidden_beside(folder)
    with contextlib.suppress(OSError):  # it does not exist
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def abandoned(folder: Path, *older: str) -> list[Path]:
    """Return what :func:`hidden_beside` named for processes that have ended; ``older`` are prefixes that it had."""
    paths = [path for prefix in (SCRATCH, *older) for path in folder.glob(f"{prefix}*")]
    return [path for path in paths if not Path("/proc", path.name.split("-")[1]).exists()]


def clear_half_written(folder: Path, leave: Collection[str], *, dry_run: bool = False) -> list[str]:
    """Delete the files below ``folder`` that killed processes had not finished; return a line for each.

    ``leave`` are paths below ``folder`` of folders that are not looked into. With ``dry_run`` nothing is changed.
    """
    done = []
    for root, folders, _ in os.walk(folder):
        below = Path(root).relative_to(folder)
        folders[:] = [name for name in sorted(folders) if str(below / name) not in leave]
        for rest in abandoned(Path(root)):
            if rest.is_file():
                if not dry_run:
                    rest.unlink(missing_ok=True)
                done.append(f"cleared a file that a killed process had not finished ({rest.relative_to(folder)})")
    return done


def sync_to_disk(path: Path) -> None:
    """Call fsync(2) for a file or a folder, so that its content (for a folder: its names) survives a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@cache
def _sweep(folder: Path) -> None:
    """Delete the scratch files of killed writers, once per process and folder."""
    for scratch in folder.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if scratch.is_file() and time.time() - scratch.stat().st_mtime > ABANDONED_SECONDS:
                scratch.unlink()
