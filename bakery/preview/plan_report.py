"""The plan of a stack with what the library says to it, read without engine and without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bakery import paths
from bakery.errors import InputError, Problem
from bakery.library.base import ImageRecord, Proof
from bakery.lock import file as lock_file
from bakery.lock.model import Lock
from bakery.plan.summaries import SummaryCache, image_summaries
from bakery.plan.summary import ImageSummary
from bakery.preview import snapshot
from bakery.preview.forecast import Forecast, forecast
from bakery.preview.model import Decision
from bakery.recipe.cache import open_cache
from bakery.recipe.fork_map import fork_map
from bakery.recipe.load import find_packages, gc_paused
from bakery.settings import Settings, from_file


@dataclass(frozen=True)
class PlanReport:
    """What will be done, what is wrong, and how long it will take.

    ``times``: family to seconds of its last bake. ``since``: the revision that it was compared with, not the library.
    """

    decisions: tuple[Decision, ...]
    problems: tuple[Problem, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)
    since: str = ""

    @property
    def forecast(self) -> Forecast:
        """The time of the bakes."""
        return forecast(self.decisions, self.times)


def _no_library() -> None:
    """Return None: without a library every image is new."""


def plan_report(
    settings: Settings, library: snapshot.OpenLibrary = _no_library, *, locked: bool = True, since: str = ""
) -> PlanReport:
    """The report of the stack's plan; problems are in it, errors too.

    ``locked`` as in :func:`bakery.plan.plan.draft`, but where nothing was ever locked a plan goes on all the same.
    Without ``library``, or when it can't be asked, every image counts as new. With ``since``, a git revision, the plan
    is compared with what that revision bakes, as if all of it were there and proven; the library only tells times.
    """
    with gc_paused():
        known = open_cache(paths.cache(), f"plan-{settings.stack}", settings.packages)
        images, found = _planned(settings, known, locked=locked)
        known.write()
    held = snapshot.read(settings, library, images)
    before = _of_revision(settings, since) if since else held
    return PlanReport(before.decide(images), (*found, *before.problems), held.times, since)


def _planned(
    settings: Settings, known: SummaryCache, *, locked: bool
) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    lock = lock_of(settings)
    packages = find_packages(settings.packages, settings.common, cache=paths.cache(), spack_ref=settings.spack.ref)
    must_be_locked = locked and bool(lock.bases.get(settings.bases))
    return image_summaries(settings, packages, lock, known, locked=must_be_locked, each=fork_map)


def _of_revision(settings: Settings, since: str) -> snapshot.LibrarySnapshot:
    """The images of the stack in another revision, as a library that has them all."""
    import tempfile  # these two: not needed for any other plan

    from bakery.host import revision

    with tempfile.TemporaryDirectory(prefix="bakery-since-") as folder:
        root = Path(folder) / "tree"
        revision.extract(settings.root, since, root)
        old = replace(from_file(root, settings.stack), select=settings.select)
        if not all(path.is_relative_to(root) for path in (old.packages, old.common)):
            hint = "keep packages and common in the checkout, or leave --since out"
            raise InputError([Problem("--since", 1, f"the packages of {since!r} lie outside of the checkout", hint)])
        images, _ = _planned(old, _Nothing(), locked=False)
    records = tuple(_record(image) for image in images)
    families = {image.family: image.name for image in images}
    proven = {image.name: image.tests_digest for image in images}
    return snapshot.LibrarySnapshot(
        records, families, proven, tests={image.name: image.tests_inputs for image in images}
    )


def _record(image: ImageSummary) -> ImageRecord:
    return ImageRecord(
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


class _Nothing:
    """A memory of nothing: the folder of another revision has a new name each time."""

    def get(self, _key: str) -> bytes | None:
        return None

    def put(self, _key: str, _content: bytes) -> None:
        return None


def lock_of(settings: Settings) -> Lock:
    """The lock file beside the packages when there is one (another tree's own), else the stack's."""
    beside = settings.packages.parent / settings.lock.name
    return lock_file.read(beside if beside.is_file() else settings.lock)
