"""Reports a failure of an image, which stops its staged roll-out: ``bakery report-failure``."""

from bakery.backends.base import Backend
from bakery.errors import InputError, Problem
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.lookup import picked
from bakery.operations.history import WHY_LENGTH
from bakery.plan.image_labels import FAILURE_LABEL, label


def report_failure(backend: Backend, wanted: str, reason: str) -> str:
    """Label the image that ``wanted`` fits (or the one that it was made from) with the reason, "" for none any more.

    Families that wait for the image stay where they are. Returns the name of the image. Raises BakeryError if no image
    or more than one fits, and Uncertain.
    """
    library = backend.library()
    image = picked(wanted, library.listing()).source
    library.relabel(image, {FAILURE_LABEL: label(reason.strip())})
    event = HistoryEvent.FAILED if reason.strip() else HistoryEvent.RESUMED
    library.history.record(HistoryEntry(image.rpartition("-")[0], event, image, why=reason.strip()[:WHY_LENGTH]))
    return image


def checked(reason: str) -> str:
    """Return the reason. Raises InputError if it is empty."""
    if not reason.strip():
        hint = "say in a few words what failed; they become a label of the image"
        raise InputError([Problem("--reason", 1, "is missing", hint)])
    return reason
