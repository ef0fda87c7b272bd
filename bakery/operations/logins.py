"""Shells on machines that are kept up for their user."""

import shutil
import sys
import threading
from collections.abc import Sequence

from bakery.fluid_run.base import Login
from bakery.host import distribution, process

OPEN_SECONDS = 7200  # as long as machines are kept up, unless the user says how long
GCLOUD = "the Google Cloud CLI, https://cloud.google.com/sdk/docs/install"


def lines(logins: Sequence[Login]) -> list[str]:
    """Return how to log in to each machine, for people."""
    if not logins:
        return ["there is no machine to log in to"]
    first = logins[0]
    how = GCLOUD if first.program == "gcloud" else distribution.install(first.program)
    missing = [] if shutil.which(first.program) else [f"install {first.program} first: {how}"]
    return [*missing, f"{first.leave} leaves a machine's shell", *map(str, logins)]


def can_log_in(logins: Sequence[Login]) -> bool:
    """Return whether a shell can be opened in this terminal."""
    return bool(logins and shutil.which(logins[0].program)) and sys.stdin.isatty() and sys.stdout.isatty()


def log_in(login: Login, cancelled: threading.Event, seconds: float) -> None:
    """Open a shell on a machine in this terminal; it ends with its user, its time, or when it is cancelled."""
    process.in_terminal(login.command, cancelled, seconds)
