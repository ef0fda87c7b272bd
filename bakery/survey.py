"""The plan of a stack with what the library says to it, read without engine and without changing anything."""

from __future__ import annotations

from bakery import paths, shelf
from bakery.plan.lock import Lock, place
from bakery.plan.outlines import outlines
from bakery.recipe import lockfile
from bakery.recipe.load import find, memory, no_collection
from bakery.report.plan import PlanReport
from bakery.settings import Settings


def survey(settings: Settings, *, locked: bool = True, library: bool = True) -> PlanReport:
    """The report of the stack's plan; problems are in it, errors too.

    ``locked`` as in :func:`bakery.plan.plan.draft`, but where nothing was ever locked a plan goes on all the same.
    Without ``library``, or when it can't be asked, every image counts as new.
    """
    with no_collection():
        lock = lock_of(settings)
        locked = locked and bool(lock.bases.get(place(settings.oven)))
        packages = find(settings.packages, settings.common, cache=paths.cache(), spack_ref=settings.spack.ref)
        known = memory(settings.packages, paths.cache(), f"plan-{settings.stack}")
        images, found = outlines(settings, packages, lock, known, locked=locked)
        known.write()
    held = shelf.read(settings, images) if library else shelf.Shelf()
    return PlanReport(held.decide(images), (*found, *held.problems), held.times)


def lock_of(settings: Settings) -> Lock:
    """The lock file beside the packages when there is one (another tree's own), else the stack's."""
    beside = settings.packages.parent / settings.lock.name
    return lockfile.read(beside if beside.is_file() else settings.lock)
