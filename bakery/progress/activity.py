"""What long work is given: a place to say its phase, and the word that it should stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from bakery.errors import Interrupted


def _silent(_phase: str) -> None:
    """Drop the phase: for work that nobody watches."""


@dataclass(frozen=True)
class Activity:
    """One piece of long work as its watcher sees it.

    ``say`` takes the phase in a few words ("baking: provisioner 3 of 5"), may be called often and from any thread, and
    adds no elapsed time: the watcher does. ``cancelled`` is set once and never cleared.
    """

    say: Callable[[str], None] = _silent
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise :class:`Interrupted` when the work was cancelled."""
        if self.cancelled.is_set():
            raise Interrupted("stopped on request, nothing is lost")

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds, or raise :class:`Interrupted` as soon as the work is cancelled."""
        self.cancelled.wait(seconds)
        self.check()
