"""A read-only snapshot of the library for planning. If the library cannot be reached, it is empty with a warning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from bakery.errors import BakeryError, Problem, Severity, Uncertain
from bakery.paths import StatePaths
from bakery.plan.image_labels import SLURM_LABEL
from bakery.plan.summary import ImageSummary
from bakery.preview.decide import decide, why_tested
from bakery.preview.model import Action, Decision, Target, needs_approval
from bakery.settings import Settings
from bakery.settings.copies import address, family_and_project

if TYPE_CHECKING:
    from bakery.library.base import CopiesIn, CopyProject, ImageRecord, Library, Revocation, Want

    OpenLibrary = Callable[[], Library | None]  # returns None if nothing was ever published


@dataclass(frozen=True)
class LibrarySnapshot:
    """The images, the families, and what a decision needs of them.

    ``proven`` maps images to the digest (or its beginning) of the tests they passed, and ``tests`` to the manifests of
    these tests, if known. ``times`` maps families to the seconds of their last bake. ``revoked`` are the revocations
    :func:`~bakery.library.revocation.in_force`. ``problems`` has a warning if the library could not be reached.
    ``wants`` are those of all stacks, ``now`` is the library's time; see :func:`decide` for ``shared``. ``copies`` are
    those in other projects, ``unread`` maps the projects that could not be looked at to the reason.
    ``approvals`` maps families that do not point at the image which the settings approve to those who approved it; None
    if that does not matter: then each approval of the settings counts.
    """

    images: tuple[ImageRecord, ...] = ()
    families: Mapping[str, str] = field(default_factory=dict)
    proven: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    tests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    revoked: Mapping[str, Revocation] = field(default_factory=dict)
    wants: tuple[Want, ...] = ()
    shared: bool = False
    now: str = ""
    copies: tuple[CopiesIn, ...] = ()
    unread: Mapping[str, BakeryError] = field(default_factory=dict)
    approvals: Mapping[str, Sequence[str]] | None = None

    @cached_property
    def pointers(self) -> Mapping[str, str]:
        """The families, and those of other projects by their :func:`address`."""
        return {
            **self.families,
            **{address(family, one.project): image for one in self.copies for family, image in one.families.items()},
        }

    def points(self, family: str, image: str) -> bool:
        """Return whether the family points at the image, also if it is of a project that could not be looked at."""
        return family_and_project(family)[1] in self.unread or self.pointers.get(family) == image

    def rival(self, family: str) -> str:
        """Return an ACTIVE image of the family besides the one that it points at, or ""."""
        of, project = family_and_project(family)
        active = _active(self._copies_in(project)) if project else self._active
        return next((name for name in active.get(of, ()) if name != self.pointers.get(family)), "")

    def relabelled(self, family: str) -> bool:
        """Return whether the family points at a copy that lacks labels of its original."""
        project, image = family_and_project(family)[1], self.pointers.get(family, "")
        original = self.records.get(image)
        copy = next((one for one in self._copies_in(project) if one.name == image), None)
        from bakery.plan.image_labels import lasting  # not needed by a plan

        return bool(copy and original and not lasting(original.labels).items() <= copy.labels.items())

    def _copies_in(self, project: str) -> tuple[ImageRecord, ...]:
        return next((one.images for one in self.copies if one.project == project), ())

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """A warning for each project that could not be looked at: its copies are kept as they are."""
        texts = {
            f"the copies in {project} are not known: {one.message}": one.hint for project, one in self.unread.items()
        }
        return tuple(Problem("library", 1, text, hint, Severity.WARNING) for text, hint in texts.items())

    @cached_property
    def _active(self) -> Mapping[str, Sequence[str]]:
        return _active(self.images)

    @cached_property
    def registered(self) -> frozenset[Want]:
        """The ``wants``, for many look-ups."""
        return frozenset(self.wants)

    @cached_property
    def records(self) -> Mapping[str, ImageRecord]:
        """The images by name."""
        return {record.name: record for record in self.images}

    @property
    def has_versions(self) -> bool:
        """Whether the version of Slurm on an image is known."""
        return any(SLURM_LABEL in record.labels for record in self.images)

    @cached_property
    def ages(self) -> Mapping[str, int]:
        """The places of the images in the order of their age, the oldest first."""
        return {name: place for place, name in enumerate(self.records)}

    def revocation(self, image: str) -> Revocation | None:
        """Return why the image must not be used any more; None if it may be used."""
        return self.revoked.get(image.rpartition("-")[2])

    def refused(self, planned: Iterable[ImageSummary]) -> tuple[Problem, ...]:
        """Return a problem for each image of the plan that is revoked: an ``up`` neither uses nor bakes it."""
        from bakery.library.revocation import refusal  # not needed by a plan without revocations

        return tuple(
            Problem("library", 1, error.message, error.hint)
            for image in planned
            if (revocation := self.revocation(image.name))
            for error in [refusal(image.name, revocation, image.taken.stack if image.taken else "")]
        )

    def proves(self, image: str, tests: str) -> bool:
        """Return whether the image passed these tests last; ``tests`` is their digest or its beginning."""
        record = self.records.get(image)
        return record is not None and not why_tested(record, tests, self.proven.get(image, ""))

    def decide(self, planned: Sequence[ImageSummary], held: Mapping[str, Target]) -> tuple[Decision, ...]:
        """Return a decision for each image of the plan; ``held`` are the families that do not follow their recipes."""
        decisions = decide(
            planned, self.images, self.families, self.proven, self.tests, revoked=self.revoked, shared=self.shared
        )
        return tuple(self._held(one, held[one.image.family]) if one.image.family in held else one for one in decisions)

    def source(self, family: str) -> str:
        """Return the recipe's image that the family, or the channel, points at; "" for none."""
        now = self.families.get(family, "")
        source = self.records[now].source if now in self.records else now
        return source if source in self.records else now

    def given_up(self, stack: str, planned: Iterable[str]) -> dict[str, str]:
        """Map families that an ``up`` of the stack lets point at nothing to the images they point at now.

        The stack (``<project>/<stack>``) had them made, they are not ``planned``, and no other stack wants them.
        """
        kept = {*planned} | {want.family for want in self.wants if want.stack != stack}
        mine = {want.family: want.image for want in self.wants if want.family not in kept}
        return {family: image for family, image in sorted(mine.items()) if self.pointers.get(family) == image}

    def _held(self, decision: Decision, target: Target) -> Decision:
        """Return the decision for an image whose family does not follow its recipe."""
        image, action, reasons = decision.image, decision.action, decision.reasons
        now = self.families.get(image.family, "")
        own = target.image == image.name
        if not own and action in (Action.KEEP, Action.ADOPT) and self.proves(image.name, image.tests_digest):
            action, reasons = Action.KEEP if target.image == now else Action.ADOPT, ()
        reasons = (target.why, *self.roll_back(target.image, now), *reasons)
        if image.taken:
            reasons = tuple(dict.fromkeys((image.taken.words, *reasons)))
        return Decision(image, action, reasons, target)

    def roll_back(self, image: str, now: str) -> tuple[str, ...]:
        """Return why a family leaves its present image: that is revoked, or newer than the other one, if it is."""
        if (revocation := self.revocation(now)) and image != now:
            return (f"{now} is revoked: {revocation.reason}" + ("" if image else ", and there is no other image"),)
        older = self.ages.get(image, len(self.ages)) < self.ages.get(now, 0)
        return (f"a roll-back: {image} is older than {now}",) if older else ()


def _active(images: Iterable[ImageRecord]) -> dict[str, list[str]]:
    """Map families to the names of their ACTIVE images."""
    found: dict[str, list[str]] = {}
    for image in images:
        if image.state == "ACTIVE":
            found.setdefault(image.family, []).append(image.name)
    return found


def read(settings: Settings, open_library: OpenLibrary, planned: Sequence[ImageSummary]) -> LibrarySnapshot:
    """Return the library as a plan of these images needs it; empty if it does not exist yet or can't be reached."""
    try:
        library = open_library()
        if library is None:
            return LibrarySnapshot(shared=settings.shares_files, approvals={})
        snapshot = _read(library, planned)
        tests, approvals = _tests(settings, planned, snapshot.proven), _approvals(settings, library, snapshot)
        return replace(snapshot, shared=settings.shares_files, tests=tests, approvals=approvals)
    except (BakeryError, ImportError) as error:
        return LibrarySnapshot(problems=(_unknown(error),))


def expected(settings: Settings, open_library: OpenLibrary) -> Library | None:
    """Return the library of a stack that has images; None if the stack's ``state`` is a new folder.

    Raises Uncertain if nothing is in the nearest folder that exists: a mount point without its disk.
    """
    library, folder = open_library(), settings.state
    if library is None and not any(next(path for path in (folder, *folder.parents) if path.exists()).iterdir()):
        raise Uncertain(
            f"is a disk not mounted? the stack has images, and there is no library in {folder}",
            hint=f"mount it; if the library was deleted on purpose: mkdir -p {folder / 'library'}",
        )
    return library


def _unknown(error: BakeryError | ImportError) -> Problem:
    """Return a warning: without credentials or network a plan is still useful."""
    from bakery.recipe.parse.findings import one_line  # not needed while the library answers

    why = one_line(error.message if isinstance(error, BakeryError) else error)
    cure = f"; {one_line(error.hint)}" if isinstance(error, BakeryError) and error.hint else ""
    hint = f"every image counts as new{cure}"
    return Problem("library", 1, f"the library can't be read: {why}", hint, Severity.WARNING)


def _read(library: Library, planned: Sequence[ImageSummary]) -> LibrarySnapshot:
    from bakery.library.revocation import in_force  # not needed by a plan without the library

    held = library.listing()
    images, families = held.images, held.families
    proven = library.proofs(images)
    now = library.now()
    revoked = in_force(library.revocations(), now)
    records, times = _completed(library, images, planned, families), library.bake_times()
    found = LibrarySnapshot(records, families, proven, times, revoked=revoked, wants=tuple(library.wants()), now=now)
    return _with_copies(found, library.copies(found.wants))


def _approvals(settings: Settings, library: Library, held: LibrarySnapshot) -> dict[str, tuple[str, ...]]:
    """Map families that do not point at the image which the settings approve to those who approved it."""
    from bakery.library.history import HistoryEvent  # not needed by a plan without the library

    def by(family: str, image: str) -> Iterator[str]:
        for one in library.history.entries(family):
            if (one.event, one.image, one.stack) == (HistoryEvent.APPROVED, image, settings.stack):
                yield one.who

    return {
        family: tuple(by(family, image))
        for family, image in settings.approved.items()
        if needs_approval(settings, family) and held.source(family) != image
    }


def _with_copies(held: LibrarySnapshot, projects: Iterable[CopyProject]) -> LibrarySnapshot:
    copies, unread = [], {}
    for one in projects:
        try:
            copies.append(one.look())
        except BakeryError as error:
            unread[one.project] = error
    return replace(held, copies=tuple(copies), unread=unread)


def _tests(
    settings: Settings, planned: Sequence[ImageSummary], proven: Mapping[str, str]
) -> dict[str, Mapping[str, str]]:
    """Return the manifests of the tests that images passed, for images whose tests have changed since."""
    changed = [image.name for image in planned if not image.tests_digest.startswith(proven.get(image.name, ""))]
    if not changed:
        return {}
    from bakery.orders import files as order_files  # imported here, as most plans do not need it

    return {name: order_files.tests_inputs(StatePaths(settings.state), name, proven[name]) for name in changed}


def _completed(
    library: Library, images: Iterable[ImageRecord], planned: Sequence[ImageSummary], families: Mapping[str, str]
) -> tuple[ImageRecord, ...]:
    """Return the records; those that new images are compared with get their manifest, which a listing may omit."""
    images = tuple(images)
    existing = {record.name for record in images}
    compared = {families.get(image.family, "") for image in planned if image.name not in existing}
    return tuple(
        replace(record, inputs=library.manifest(record.name))
        if record.name in compared and not record.inputs
        else record
        for record in images
    )
