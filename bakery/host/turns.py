"""Turns: a limit for the work of one kind that a process does at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bakery.progress.activity import Activity

LOOK_SECONDS = 0.5


class Turns:
    """At most ``most`` at the same time, without a limit if it is 0. Safe among threads."""

    def __init__(self, most: int, setting: str) -> None:
        self.setting = setting
        self._free = threading.Semaphore(most) if most else None

    @contextmanager
    def held(self, activity: Activity) -> Iterator[None]:
        """Wait for a turn, and have it inside the block. Raises Interrupted."""
        if self._free is None:
            yield
            return
        if not self._free.acquire(blocking=False):
            activity.say(f"waiting for others to end ({self.setting})")
            while not self._free.acquire(timeout=LOOK_SECONDS):
                activity.check()
        try:
            yield
        finally:
            self._free.release()
