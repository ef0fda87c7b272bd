"""Leases on images: who boots or bakes from an image holds one, and retention never deletes a leased image.

A lease is a shared lock (flock(2)) on ``leases/<digest>``; deletion wants it alone and does not wait. The kernel
drops the lock with its process, however that ends, so no lease is ever stale.
"""

from __future__ import annotations

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
        """Hold a lease; waits only as long as a deletion that has begun takes."""
        with self._open(digest) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self, digest: str) -> Iterator[bool]:
        """Try to be the only one; False (at once) when somebody holds a lease."""
        with self._open(digest) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def taken(self, digest: str) -> bool:
        """Whether somebody holds a lease now; leaves no file behind for images that never had one."""
        if not (self.folder / digest).exists():
            return False
        with self.alone(digest) as free:
            return not free

    @contextmanager
    def _open(self, digest: str) -> Iterator[int]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Lock files stay: taking one away while another process opens it would split the lock in two.
            handle = os.open(self.folder / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Uncertain(
                f"{self.folder / digest} can't be locked: {error.strerror}", hint="check its owner and permissions"
            ) from error
        try:
            yield handle
        finally:
            os.close(handle)
