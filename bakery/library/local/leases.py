"""Leases on images: a process that boots or bakes from an image holds one, and a leased image is never deleted.

A lease is a shared lock (flock(2)) on ``leases/<digest>``. Deletion takes the exclusive lock and does not wait. The
kernel drops a lock when its process ends, so a lease is never stale.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.errors import Uncertain


class Leases:
    """The folder ``leases`` of a local library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def shared(self, digest: str) -> Iterator[None]:
        """Hold a lease; wait only while a deletion that has already begun is running."""
        with self._open(digest) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield

    @contextmanager
    def exclusive(self, digest: str) -> Iterator[bool]:
        """Try to take the exclusive lock; yield False without waiting if another process holds a lease."""
        with self._open(digest) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def taken(self, digest: str) -> bool:
        """Return whether any process holds a lease; create no file for an image that never had one."""
        if not (self.folder / digest).exists():
            return False
        with self.exclusive(digest) as free:
            return not free

    @contextmanager
    def _open(self, digest: str) -> Iterator[int]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Lock files are never removed: if another process opens one meanwhile, the lock would be split in two.
            handle = os.open(self.folder / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Uncertain(
                f"{self.folder / digest} can't be locked: {error.strerror}", hint="check its owner and permissions"
            ) from error
        try:
            yield handle
        finally:
            os.close(handle)
