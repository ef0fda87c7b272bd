"""The plan of a stack compared with the library. It needs no engine and changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bakery import paths
from bakery.errors import BakeryError, InputError, Problem, Severity
from bakery.lock import file as lock_file
from bakery.lock.model import Lock
from bakery.plan.summaries import SummaryCache, encode_package, image_summaries
from bakery.plan.summary import ImageSummary
from bakery.preview import snapshot
from bakery.preview.check import as_problems, check, wrong_rules
from bakery.preview.copies import copies, everywhere
from bakery.preview.decide import Forecast, forecast
from bakery.preview.model import Channel, Copy, Decision
from bakery.preview.proven import proven_digests
from bakery.preview.targets import channels, targets
from bakery.recipe.cache import open_cache
from bakery.recipe.fork_map import fork_map
from bakery.recipe.load import gc_paused
from bakery.recipe.roots import packages_of
from bakery.settings import Settings


class PlanReport(NamedTuple):
    """What will be done with each image, the problems, and the expected time.

    ``times`` maps families to the seconds of their last bake. ``since`` is the revision that the plan was compared
    with; empty if that was the library. ``given_up`` maps families that will point at nothing to their present images.
    """

    decisions: tuple[Decision, ...]
    problems: tuple[Problem, ...] = ()
    times: Mapping[str, float] = MappingProxyType({})
    since: str = ""
    given_up: Mapping[str, str] = MappingProxyType({})
    channels: tuple[Channel, ...] = ()
    copies: tuple[Copy, ...] = ()

    @property
    def forecast(self) -> Forecast:
        """The expected time of the bakes."""
        return forecast(self.decisions, self.times)


def plan_report(
    settings: Settings,
    library: snapshot.OpenLibrary | None = None,
    *,
    locked: bool = True,
    since: str = "",
    project: str = "",
    source: snapshot.OpenLibrary | None = None,
) -> PlanReport:
    """Return the report of the stack's plan, including all errors.

    ``locked`` as in :func:`bakery.plan.plan.draft`, but it does not apply if no base image was ever locked. Without
    ``library``, or if it can't be reached, every image counts as new. With ``since``, a git revision, the plan is
    compared with the images of that revision as if all of them existed and had passed their tests; the library then
    only provides the bake times. ``project`` is that of the stack if this is its own plan, not one of other packages.
    ``source`` opens the library of the stack that the images are taken from, if they are.
    """
    if settings.source_stack and since:
        text = f"compares recipes; {settings.stack} takes its images from {settings.source_stack.stack}"
        raise InputError([Problem("--since", 1, text, "omit it, or use the stack that bakes")])
    proven = () if source else _proven(library)
    images, problems = _taken(settings, source) if source else _read(settings, locked=locked, proven=proven)
    if source and not images:
        return PlanReport((), problems)
    held = snapshot.read(settings, library or (lambda: None), images)
    if source and project:
        from bakery.preview.taken import lost

        mine = [want for want in held.wants if want.stack == f"{project}/{settings.stack}"]
        problems = (*problems, *lost(settings, images, mine, held.records.get))
    before = _of_revision(settings, since, proven) if since else held
    read = library is not None and not since and not held.problems
    wrong = check(settings, images, held if read else None) if read or project else ()
    wrong += held.refused(images) if read else ()
    if read and project:
        wrong += as_problems(settings, wrong_rules(settings, images, held.images), Severity.WARNING)
    problems = (*settings.warnings, *problems, *before.problems, *before.warnings, *wrong)
    goals = targets(settings, images, before)
    if read and (settings.cluster.has_versions or held.has_versions):
        from bakery.preview.cluster_fit import unfit  # most plans do not need it

        problems = (*problems, *unfit(settings, images, held, goals))
    decisions = before.decide(images, goals)
    if any(settings.limits):
        from bakery.preview.limits import over_limits  # not needed without limits

        problems = (*problems, *over_limits(settings, decisions, held.times))
    if since:
        return PlanReport(decisions, problems, held.times, since)
    given_up = held.given_up(f"{project}/{settings.stack}", everywhere(settings, images)) if project else {}
    ways = channels(settings, images, held, goals) if settings.channels else ()
    return PlanReport(decisions, problems, held.times, "", given_up, ways, copies(settings, images, held, goals))


def _taken(settings: Settings, source: snapshot.OpenLibrary) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    from bakery.preview import taken  # not needed by a stack that bakes

    plan = taken.planned(settings, source)
    return plan.images, plan.problems


def _proven(library: snapshot.OpenLibrary | None) -> Collection[str]:
    try:
        return proven_digests(library or (lambda: None))
    except (BakeryError, ImportError):
        return ()  # the snapshot has a warning


def _read(
    settings: Settings, *, locked: bool, proven: Collection[str]
) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    with gc_paused():
        cache = open_cache(paths.cache(), f"plan-{settings.stack}", settings.packages)
        found = _planned(settings, cache, locked=locked, proven=proven)
        cache.write()
    return found


def _planned(
    settings: Settings, cache: SummaryCache, *, locked: bool, proven: Collection[str]
) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    lock = lock_of(settings)
    packages = packages_of(settings, partial(encode_package, settings))
    must_be_locked = locked and bool(lock.bases.get(settings.bases))
    return image_summaries(settings, packages, lock, cache, locked=must_be_locked, each=fork_map, proven=proven)


def _of_revision(settings: Settings, since: str, proven: Collection[str]) -> snapshot.LibrarySnapshot:
    """Return the images of the stack in another revision, as a library that contains them all."""
    import tempfile  # imported here, as no other plan needs them

    from bakery.library.base import ImageRecord, Proof
    from bakery.preview.since import settings_since

    with tempfile.TemporaryDirectory(prefix="bakery-since-") as folder:
        old = settings_since(settings, since, Path(folder))
        images, _ = _planned(old, open_cache(None, "", old.packages), locked=False, proven=proven)
    records = tuple(
        ImageRecord(
            name=image.name,
            digest=image.digest,
            package=image.package,
            variant=image.variant,
            candidate_for=image.family,
            created="",
            family=image.family,
            proof=Proof.PASSED,
            inputs=image.inputs,
        )
        for image in images
    )
    families = {image.family: old.pins.get(image.family, image.name) for image in images}
    proven = {image.name: image.tests_digest for image in images}
    return snapshot.LibrarySnapshot(
        records, families, proven, tests={image.name: image.tests_inputs for image in images}
    )


def lock_of(settings: Settings) -> Lock:
    """Return the lock file beside the packages if it exists (another tree has its own), else the stack's."""
    beside = settings.packages.parent / settings.lock.name
    return lock_file.read(beside if beside.is_file() else settings.lock)
