"""The passed Fluid-Run of an image, because of which its tests are not run again."""

from datetime import datetime

from bakery.library.base import Library, Proof
from bakery.orders.model import RunOrder
from bakery.results.model import RunResult, Verdict


def passing_run(library: Library, order: RunOrder) -> RunResult | None:
    """Return the newest run in which the image of ``order`` passed these tests, or None if they have to run.

    A run counts if the image still is the one that was tested (it was not baked again since) and if no later run has
    failed.
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
    """Return an RFC 3339 time as a value; texts with and without fractions of a second cannot be compared."""
    return datetime.fromisoformat(time)
