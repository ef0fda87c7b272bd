"""The plan of a stack with what the library says to it, read without engine and without changing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakery import paths
from bakery.errors import BakeryError, Problem, Severity
from bakery.library.base import ImageRecord, Library
from bakery.paths import StatePaths
from bakery.plan.decide import decide
from bakery.plan.lock import Lock, place
from bakery.plan.model import Outline
from bakery.plan.outlines import outlines
from bakery.recipe import lockfile
from bakery.recipe.findings import one_line
from bakery.recipe.load import find, memory, no_collection
from bakery.report.plan import PlanReport
from bakery.settings import OvenKind, Settings


@dataclass(frozen=True)
class Shelf:
    """What the library holds: images, families, tests that images passed (digest or its beginning), bake times."""

    images: tuple[ImageRecord, ...] = ()
    families: Mapping[str, str] | None = None
    proven: Mapping[str, str] | None = None
    times: Mapping[str, float] | None = None


def survey(settings: Settings, *, locked: bool = True, library: bool = True) -> PlanReport:
    """The report of the stack's plan; problems are in it, errors too.

    ``locked`` as in :func:`bakery.plan.plan.draft`, but where nothing was ever locked a plan goes on all the same.
    Without ``library``, or when it can't be asked, every image counts as new.
    """
    with no_collection():
        lock = lock_of(settings)
        locked = locked and bool(lock.bases.get(place(settings.oven)))
        packages = find(settings.packages, settings.common, cache=recipe_cache(), spack_ref=settings.spack.ref)
        known = memory(settings.packages, recipe_cache(), f"plan-{settings.stack}")
        images, found = outlines(settings, packages, lock, known, locked=locked)
        known.write()
    problems = list(found)
    shelf = Shelf()
    if library:
        try:
            shelf = read_shelf(settings, images)
        except (BakeryError, ImportError) as error:
            problems.append(_unknown(error))
    decisions = decide(images, shelf.images, shelf.families or {}, shelf.proven)
    return PlanReport(decisions, tuple(problems), shelf.times or {})


def _unknown(error: BakeryError | ImportError) -> Problem:
    """That the library can't be asked (no credentials, no network) is no reason to show no plan."""
    why = one_line(error.message if isinstance(error, BakeryError) else error)
    cure = f"; {one_line(error.hint)}" if isinstance(error, BakeryError) and error.hint else ""
    hint = f"every image counts as new{cure}"
    return Problem("library", 1, f"nothing is known of what is there: {why}", hint, Severity.WARNING)


def recipe_cache() -> Path:
    """Where parsed recipes are kept for the next plan."""
    return paths.cache()


def lock_of(settings: Settings) -> Lock:
    """The lock file beside the packages when there is one (another tree's own), else the stack's."""
    beside = settings.packages.parent / settings.lock.name
    return lockfile.read(beside if beside.is_file() else settings.lock)


def read_shelf(settings: Settings, planned: Sequence[Outline]) -> Shelf:
    """Read the library; an empty one when there is none yet. Raises BakeryError, ImportError."""
    if settings.oven is not OvenKind.CLOUD_BUILD and not StatePaths(settings.state).library.is_dir():
        return Shelf()
    from bakery.library import make  # SQLite or Google's clients: not needed without a library

    library = make(settings)
    images, families = tuple(library.images()), library.families()
    wanted = {image.name for image in planned}
    proven = {record.name: found for record in images if record.name in wanted and (found := _proven(library, record))}
    times = {record.candidate_for: record.bake_seconds for record in images if record.bake_seconds}
    return Shelf(_completed(library, images, planned, families), families, proven, {**times, **_times(library)})


def _proven(library: Library, record: ImageRecord) -> str:
    """The digest of the tests that the image last went through, as far as the library tells."""
    labelled = record.labels.get("bakery-tests", "")
    proofs = getattr(library, "proofs", None)
    if labelled or proofs is None:
        return labelled
    found = proofs(record.name)
    return str(found[-1][0]) if found else ""


def _times(library: Library) -> Mapping[str, float]:
    bake_times = getattr(library, "bake_times", None)
    return bake_times() if bake_times else {}


def _completed(
    library: Library, images: Iterable[ImageRecord], planned: Sequence[Outline], families: Mapping[str, str]
) -> tuple[ImageRecord, ...]:
    """The records; what new images are compared with has its manifest, which a listing may leave out."""
    images = tuple(images)
    there = {record.name for record in images}
    compared = {families.get(image.family, "") for image in planned if image.name not in there}
    return tuple(
        replace(record, inputs=(library.find(record.name) or record).inputs)
        if record.name in compared and not record.inputs
        else record
        for record in images
    )
