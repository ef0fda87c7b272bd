"""A clock that stands still until somebody waits."""

from __future__ import annotations

from collections.abc import Callable

from bakery.progress.activity import Activity

BEGIN = 1_800_000_000.0


class Clock:
    """Seconds since the epoch; waits of :meth:`activity` move it on."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.pauses: list[float] = []
        """Of :meth:`activity`; what else moves the clock on, such as polls, depends on how fast the machine is."""

    def __call__(self) -> float:
        return BEGIN + self.passed

    def pass_(self, seconds: float) -> None:
        """Let that many seconds pass."""
        self.passed += seconds

    def waited(self, least: float) -> float:
        """Return the seconds of all pauses of at least ``least``."""
        return sum(seconds for seconds in self.pauses if seconds >= least)

    def activity(self, say: Callable[[str], object] = str) -> Activity:
        """Work whose pauses take no time."""
        clock = self

        class Quick(Activity):
            def sleep(self, seconds: float) -> None:
                clock.pauses.append(seconds)
                clock.pass_(seconds)
                self.check()

        return Quick(lambda phase: (say(phase), None)[1])
