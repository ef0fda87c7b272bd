"""When the work of this process has to end: a job of CI whose time is limited sets the variable BAKERY_DEADLINE."""

import os
import re
import threading
import time

from bakery.errors import InputError, Problem

VARIABLE = "BAKERY_DEADLINE"
EARLY = 1  # seconds that the clock of the timer may be ahead of that of the date


def seconds_left() -> float | None:
    """Return the seconds until the deadline, negative after it; None without one. Raises InputError."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,30}", text):
        hint = "write the seconds since 1970, as `date +%s` prints them"
        raise InputError([Problem("environment", 1, f"{VARIABLE} is {text!r}", hint)])
    return int(text) - time.time()


def passed() -> bool:
    """Return whether there is a deadline and its time has come. Raises InputError."""
    left = seconds_left()
    return left is not None and left <= EARLY


def cancel_at_deadline(cancelled: threading.Event) -> None:
    """Set the event at the deadline, if there is one. Raises InputError."""
    left = seconds_left()
    if left is not None:
        timer = threading.Timer(min(max(left, 0), threading.TIMEOUT_MAX), cancelled.set)
        timer.daemon = True  # work that ends earlier is not waited for
        timer.start()


def why_stopped() -> str:
    """Return who asked for a stop, for messages: "on request" or "at the deadline of this run"."""
    return "at the deadline of this run" if passed() else "on request"
