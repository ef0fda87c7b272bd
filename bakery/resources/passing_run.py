"""Whether an image has passed its tests already: then they are not run again."""

from __future__ import annotations

from datetime import datetime

from bakery.library.base import Library, Proof
from bakery.orders.model import RunOrder
from bakery.results.model import RunResult, Verdict


def standing_run(library: Library, order: RunOrder) -> RunResult | None:
    """The newest run that proves the image of ``order`` by these tests, or None when they have to run.

    It counts only while the image is the one that was tested: not when it was baked anew since, and not when a later
    run took the proof away.
    """
    image = library.find(order.image)
    if image is None or image.proof is not Proof.PASSED:
        return None
    passed = [
        run
        for run in library.runs(order.image)
        if run.tests_digest == order.digest and run.verdict is Verdict.PASSED and _at(run.started) >= _at(image.created)
    ]
    return max(passed, key=lambda run: _at(run.started), default=None)


def _at(time: str) -> datetime:
    """An RFC 3339 time as a value: as text, times with and without fractions of a second do not compare."""
    return datetime.fromisoformat(time)
