"""Leases on images: a process that boots or bakes from an image holds one, and a leased image is never deleted.

A lease is a shared lock (flock(2)) on ``leases/<digest>``. Deletion takes the exclusive lock and does not wait. The
kernel drops a lock when its process ends, so a lease is never stale.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.errors import Uncertain
from bakery.host import locks


class Leases:
    """The folder ``leases`` of a local library. Raises Uncertain if a lease can't be locked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def shared(self, digest: str) -> Iterator[None]:
        """Hold a lease; wait only while a deletion that has already begun is running."""
        with locks.opened(self.folder / digest, Uncertain) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield

    @contextmanager
    def exclusive(self, digest: str) -> Iterator[bool]:
        """Try to take the exclusive lock; yield False without waiting if another process holds a lease."""
        with locks.opened(self.folder / digest, Uncertain) as handle:
            yield locks.try_lock(handle)

    def files(self) -> list[str]:
        """Return the digests that ever had a lease."""
        return [file.name for file in self.folder.glob("*")]

    def taken(self, digest: str) -> bool:
        """Return whether any process holds a lease; create no file for an image that never had one."""
        if not (self.folder / digest).exists():
            return False
        with self.exclusive(digest) as free:
            return not free
