"""Takes an image that was made elsewhere into the library: ``bakery adopt``."""

from bakery.backends.base import Backend
from bakery.library.base import ImageRecord
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.operations.bake import planned


def adopt(backend: Backend, source: str, family: str) -> ImageRecord:
    """Return the candidate that was made; a family of the plan and what :meth:`Backend.adopt` takes.

    Raises UnknownFamily, InputError for recipes with errors, and what :meth:`Backend.adopt` raises.
    """
    plan = next(image for image in planned(backend.settings, [family], locked=False) if image.family == family)
    created = backend.library().now()
    made = backend.adopt(source, ImageRecord("", "", plan.package, plan.variant, family, created))
    backend.library().history.record(HistoryEntry(family, HistoryEvent.ADOPTED, made.name, why=f"from {source}"))
    return made
