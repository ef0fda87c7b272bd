"""A status line for a piece of long work: its phase and its elapsed time."""

import threading
import time
from collections.abc import Callable
from typing import Self

TICK_SECONDS = 1.0  # a terminal shows every tick
QUIET_SECONDS = 30.0  # a log file gets a new phase immediately, and an unchanged one this often
LAST_SECONDS = 5.0  # for a text that is being sent when the line ends

Send = Callable[[str], None]


def elapsed(seconds: float) -> str:
    """Return seconds for people: 7s, 1m12s, 2h05m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Line:
    """Sends a phase and its elapsed time while it is watched. Use it as a context; its end waits for the last text.

    Every ``tick`` seconds it sends a new phase immediately, and an unchanged one if ``again`` seconds have passed.
    """

    def __init__(
        self,
        send: Send,
        again: float = TICK_SECONDS,
        tick: float = TICK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._again = again
        self._tick = tick
        self._clock = clock
        self._begin = clock()
        self._phase = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status line", daemon=True)

    def say(self, phase: str) -> None:
        """Set the phase, which is shown at the next tick."""
        self._phase = phase

    def text(self) -> str:
        """Return the current text of the line."""
        return f"{self._phase}, {elapsed(self._clock() - self._begin)}" if self._phase else ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join(LAST_SECONDS + self._tick)

    def _run(self) -> None:
        shown, sent = "", self._clock()
        while not self._end.wait(self._tick):
            phase, now = self._phase, self._clock()
            if phase and (phase != shown or now - sent >= self._again - self._tick / 2):
                self._send(self.text())
                shown, sent = phase, now
