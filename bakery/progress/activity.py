"""The interface of long work to its caller: it reports its phase, and an event asks it to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from bakery.errors import Interrupted
from bakery.progress.deadline import why_stopped

FIRST_PAUSE = 0.5  # seconds
PART = 30  # of the time that was waited


def growing_pause(longest: float, waited: float) -> float:
    """Return the seconds until the next look at other work: few at first, so that short work is noticed to end."""
    return min(longest, FIRST_PAUSE + waited / PART)


def _silent(_phase: str) -> None:
    """Drop the phase, for work without a watcher."""


@dataclass(frozen=True)
class Activity:
    """A piece of long work and its watcher.

    ``say`` takes the phase in a few words ("baking: provisioner 3 of 5"); it may be called often, from any thread, and
    the watcher adds the elapsed time. ``cancelled`` is set once and never cleared.
    """

    say: Callable[[str], None] = _silent
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise :class:`Interrupted` if the work was cancelled."""
        if self.cancelled.is_set():
            raise Interrupted(f"stopped {why_stopped()}, nothing is lost")

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds. Raises :class:`Interrupted` as soon as the work is cancelled."""
        self.cancelled.wait(seconds)
        self.check()
