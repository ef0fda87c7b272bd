"""The machines that one process may use: a stack's ``limits``, for the plugin of an `up` as for a command.

When they are used up, no further bake or test begins. What has begun may use further machines: a second try, or
the cluster that an upgrade is tested on.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.errors import LimitReached
from bakery.progress.deadline import VARIABLE, passed
from bakery.settings import LimitSettings, Settings

AGAIN = "the next run continues from here"


class Budget:
    """Counts machines and their seconds. Safe among threads."""

    def __init__(self, limits: LimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._running: dict[object, tuple[int, float]] = {}  # machines, and when they were asked for
        self._machines = 0  # in all
        self._seconds = 0.0  # of machines that are gone

    @contextmanager
    def used(self, what: str, machines: int = 1) -> Iterator[None]:
        """Count that many machines as used inside the block. Raises LimitReached unless ``what`` has begun before."""
        with self._lock:
            if what not in self._begun and (spent := self._spent(machines)):
                raise LimitReached(f"{what} was not begun: {spent}", hint=AGAIN)
            self._begun.add(what)
            self._machines += machines
            began, key = self._clock(), object()
            self._running[key] = machines, began
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]
                self._seconds += machines * (self._clock() - began)

    def _spent(self, machines: int) -> str:
        """Return which limit lets no more work begin, in words; "" for none."""
        if passed():
            return f"the time of this run is over ({VARIABLE})"
        most, seconds = self.limits.machines, self.limits.machine_seconds
        if most and self._machines + machines > most:
            return f"it needs {machines} of {most} machines, of which {self._machines} were used (limits.machines)"
        now = self._clock()
        used = self._seconds + sum(count * (now - began) for count, began in self._running.values())
        if seconds and used >= seconds:
            return f"{used:.0f} of {seconds} seconds of machines are used (limits.machineSeconds)"
        return ""


_budgets: dict[tuple[Path, LimitSettings], Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(settings: Settings) -> Budget:
    """Return the budget of a stack, the same one for all bakes and tests of this process."""
    with _budgets_lock:
        return _budgets.setdefault((settings.state, settings.limits), Budget(settings.limits))
