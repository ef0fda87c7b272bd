"""Waits for changes of a project that Google applies only minutes later: new grants, accounts and services.

IAM says of a new grant: "typically 2 minutes, potentially 7 minutes or longer". Until then Google refuses what it
allows afterwards, and nothing tells whether a role is missing or new. So the program notes when it first saw each
grant, and a refusal is tried again as long as one of them is young.
Source: https://cloud.google.com/iam/docs/access-change-propagation, 2026-11-29.
"""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bakery.errors import AccessRefused
from bakery.host.files import write_atomic
from bakery.progress.activity import Activity

YOUNG_SECONDS = 900.0
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 60.0
Result = TypeVar("Result")


def note(file: Path, grants: Iterable[str]) -> None:
    """Note in ``file`` that these are the grants now; a known one keeps the time when it was first seen."""
    known = _seen(file)
    seen = {grant: known.get(grant, time.time()) for grant in grants}
    if seen != known:
        write_atomic(file, json.dumps(seen, sort_keys=True).encode())


def young(file: Path) -> bool:
    """Return whether a grant that ``file`` notes may not have taken effect everywhere."""
    return time.time() - max(_seen(file).values(), default=0.0) < YOUNG_SECONDS


def patiently(file: Path, activity: Activity, call: Callable[[], Result]) -> Result:
    """Call, and again while access is refused and a grant is young. Raises what the last call raises."""
    pause = FIRST_PAUSE
    while True:
        try:
            return call()
        except AccessRefused as error:
            if not young(file):
                raise
            activity.say(f"waiting until new grants take effect, which takes minutes: {error.message}")
        activity.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _seen(file: Path) -> dict[str, float]:
    """Return the times since the epoch, by grant; a file that is damaged or missing tells nothing."""
    try:
        return {str(grant): float(seen) for grant, seen in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
