"""The plan of a stack that bakes nothing: the images that the families of another stack, its source, point at.

It needs no recipes. What they say elsewhere is read from the library of the source: package, variant, digest and parent
from an image's labels, its tests from its proof, its partitions from the Fluid-Run that proved it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.errors import BakeryError, Problem, Severity
from bakery.library.base import ImageRecord, Library, Listing
from bakery.library.derived import content, labels_elsewhere
from bakery.library.proof import line_of, missing_proof, of_line
from bakery.library.proven import Passed, proven_by
from bakery.library.revocation import in_force, utc
from bakery.plan.image_labels import FAILURE_LABEL, PARENT_LABEL
from bakery.plan.model import ImagePlan, Plan, SuitePlan, partition_names
from bakery.plan.summary import Base, ImageSummary, Taken
from bakery.preview.smoke import smoke_tests
from bakery.recipe.image_names import DIGEST_SHOWN, family_fault, image_name
from bakery.recipe.model import ClusterShape, Suite
from bakery.settings import Settings
from bakery.settings.copies import family_and_project
from bakery.settings.source_stack import missing_role, problem, translated

if TYPE_CHECKING:
    from bakery.library.base import Revocation, Want
    from bakery.preview.snapshot import OpenLibrary

UNKNOWN = "unknown"  # the project of a base image, which no label has
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


def planned(settings: Settings, open_source: OpenLibrary) -> Plan:
    """Return the plan of what the source has proven, or the problems for which there is none."""
    source = settings.source_stack
    assert source is not None  # the caller looked
    library = None
    try:
        library = open_source()
        if library is None:
            hint = f"run: pulumi up --stack {source.stack}; or fix the setting state of that stack"
            fault = f"the stack {source.stack} has no library yet: {source.state / 'library'} does not exist"
            return Plan((), (problem(settings, fault, hint),))
        held = _read(settings, source, library)
    except (BakeryError, ImportError) as error:
        why = error.message if isinstance(error, BakeryError) else str(error)
        cure = missing_role(why, library.history.who, settings, source) if library else ""
        cure = cure or (error.hint if isinstance(error, BakeryError) else "")
        cure = cure or f"see: bakery library --stack {source.stack}"
        return Plan((), (problem(settings, f"the library of {source.stack} can't be read: {why}", cure),))
    if faults := tuple(held.faults()):
        return Plan((), faults)
    images = tuple(map(held.image, held.families))
    smoke, faults = smoke_tests(settings, [image.family for image in images])
    if faults:
        return Plan((), faults)
    return Plan(tuple(_tested_here(image, smoke.get(image.family)) for image in images), tuple(held.warnings()))


def _tested_here(image: ImagePlan, smoke: SuitePlan | None) -> ImagePlan:
    """Return the image with its smoke tests, and words about them."""
    if smoke is None or image.taken is None:
        return image
    count = len(smoke.suite.jobs)
    words = f"{image.taken.words}; {count} smoke test{'' if count == 1 else 's'} here before its promotion"
    return replace(image, smoke=smoke, taken=image.taken._replace(words=words))


def lost(
    settings: Settings, plan: Sequence[ImageSummary], wants: Iterable[Want], find: Callable[[str], ImageRecord | None]
) -> tuple[Problem, ...]:
    """Return a problem for each family that the stack has, and that its source does not have any more.

    With ``select``, a family that it does not name is given up on purpose. ``wants`` are those of the stack in its own
    library, where ``find`` looks up an image.
    """
    source = settings.source_stack
    if source is None or settings.select:
        return ()
    families = {image.family for image in plan}
    mine = {want.family: want.image for want in wants}
    hint = (
        f"promote one there: pulumi up --stack {source.stack}; or give the family up: write the packages that stay "
        "into select"
    )
    return tuple(
        problem(settings, f"{source.stack} has no image of {family} any more, and {image} is promoted here", hint)
        for family, image in sorted(mine.items())
        if not family_and_project(family)[1] and _recipe_family(find(image), family) not in families
    )


def _recipe_family(record: ImageRecord | None, family: str) -> str:
    """Return the family of the recipe's image that a family, perhaps a channel, got."""
    return record.source.rpartition("-")[0] if record and record.channel else family


def _read(settings: Settings, source: Settings, library: Library) -> _Source:
    """Look at the library of the source once. Raises Uncertain and BakeryError."""
    held, now = library.listing(), library.now()
    promoted = [image for image in held.images if held.families.get(image.family) == image.name and not image.channel]
    tests = library.proofs(held.images)
    names = {image.name: tests[image.name] for image in promoted if image.name in tests}
    return _Source(
        settings,
        source,
        held,
        tests,
        in_force(library.revocations(), now),
        now,
        proven_by(library, names),
        {image.name: library.manifest(image.name) for image in promoted},
    )


@dataclass(frozen=True)
class _Source:
    """What was seen of the library that images are taken from.

    ``tests`` maps images to the digest of the tests of their last verdict, ``passed`` those that families point at to
    the run that proved them, ``manifests`` to the manifests of their digests.
    """

    settings: Settings
    source: Settings
    held: Listing
    tests: Mapping[str, str]
    revoked: Mapping[str, Revocation]
    now: str
    passed: Mapping[str, Passed]
    manifests: Mapping[str, Mapping[str, str]]

    @cached_property
    def records(self) -> Mapping[str, ImageRecord]:
        """The images by name."""
        return {record.name: record for record in self.held.images}

    @cached_property
    def promoted(self) -> Mapping[str, ImageRecord]:
        """The images that families point at, without channels, by family; parents come before their children."""
        found = [self.records[name] for name in self.manifests]
        found.sort(key=lambda image: (len(self._line(image)), image.family))
        return {image.family: image for image in found}

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The families whose images are taken: of all packages, or of the selected ones and their ancestors."""
        if not self.settings.select:
            return tuple(self.promoted)
        chosen = [image for image in self.promoted.values() if image.package in self.settings.select]
        wanted = {one.candidate_for for image in chosen for one in self._line(image)}
        return tuple(family for family in self.promoted if family in wanted)

    def faults(self) -> Iterator[Problem]:
        """Yield all for which there is no plan."""
        there, packages = self.source.stack, {image.package for image in self.promoted.values()}
        up = f"pulumi up --stack {there}"
        for name in self.settings.select:
            if name not in packages:
                hint = f"promote one there: {up}; or remove the package from select"
                fault = f"the stack {there} has no promoted image of the package {name}"
                yield problem(self.settings, fault, hint, "select")
        if not self.promoted:
            yield problem(self.settings, f"no family of the stack {there} points at an image", f"run: {up}")
        for family in self.families:
            image = self.promoted[family]
            if missing := missing_proof(self._required(image), self.held.images, self.tests, self.revoked):
                hint = f"run: {up}; or test it again: bakery test {image.name} --stack {there}"
                fault = f"{image.name}, which {family} of the stack {there} points at, has no proof: {missing}"
                yield problem(self.settings, fault, hint)
            elif reported := image.labels.get(FAILURE_LABEL):
                hint = f"promote another one there; or withdraw it: bakery report-failure {image.name} --undo"
                fault = f"a failure of {image.name} was reported in the stack {there}: {reported}"
                yield problem(self.settings, fault, f"{hint} --stack {there}")
            elif wrong := family_fault(self._here(family)):
                yield problem(self.settings, *wrong, "google.prefix")

    def warnings(self) -> Iterator[Problem]:
        """Yield the images that this stack stays at, and that the source has revoked."""
        for setting, images in (("pins", self.settings.pins), ("approved", self.settings.approved)):
            for family, image in images.items():
                if one := self.revoked.get(content(image)):
                    text = f"{family} is at {image}, which is revoked in the stack {self.source.stack}: {one.reason}"
                    hint = f"remove it, or revoke it here too: bakery revoke {image} --stack {self.settings.stack}"
                    yield replace(problem(self.settings, text, hint, setting), severity=Severity.WARNING)

    def image(self, family: str) -> ImagePlan:
        """Return the image of the plan that a family of the source points at. It has nothing that bakes it."""
        record = self.promoted[family]
        parent = self.records.get(record.parent)
        mine, tests = self._here(family), self._suite(record.name)
        return ImagePlan(
            package=record.package,
            variant=record.variant,
            family=mine,
            name=image_name(mine, record.digest),
            digest=record.digest,
            base=self._base(record, parent),
            inputs=self.manifests[record.name],
            tests_digest=tests.digest,
            partitions=partition_names(mine, tests),
            taken=Taken(self.source.stack, record.name, self._proofs(record), self._words(record.name, mine)),
            template={},
            template_path="",
            build={},
            variables={},
            substitutions={},
            files=(),
            labels=labels_elsewhere(record, parent, self.source.google, self.settings.google),
            timeout=0,
            folder=Path(),
            tests=tests,
        )

    def _suite(self, name: str) -> SuitePlan:
        """Return the tests that the image has passed, without their jobs, which do not run again."""
        run = self.passed.get(name)
        cluster = ClusterShape(run.partitions) if run and run.partitions else ClusterShape()
        return SuitePlan(self.tests[name], Suite((), cluster), ())

    def _base(self, record: ImageRecord, parent: ImageRecord | None) -> Base:
        if parent:
            return Base(self._here(parent.candidate_for), self._here(parent.name), parent.digest)
        named = (key.removeprefix("base ") for key in self.manifests[record.name] if key.startswith("base "))
        return Base(next(named, UNKNOWN), record.labels.get(PARENT_LABEL, ""), "", UNKNOWN)

    def _words(self, name: str, family: str) -> str:
        """Return origin, proof and age for people."""
        other = "" if family == name.rpartition("-")[0] else f" ({name})"
        if (run := self.passed.get(name)) is None:
            return f"from {self.source.stack}{other}, proven by its tests"
        count = f"{run.tests} test{'' if run.tests == 1 else 's'}"
        return f"from {self.source.stack}{other}, proven {ago(run.started, self.now)} by {count}"

    def _line(self, image: ImageRecord) -> list[ImageRecord]:
        return line_of(image.name, self.records.get)

    def _required(self, image: ImageRecord) -> dict[str, str]:
        return of_line(self._line(image))

    def _proofs(self, image: ImageRecord) -> dict[str, str]:
        """Return what the promotion requires here: the proofs that the images have there."""
        return {
            self._here(name): self.tests.get(name, "")[:DIGEST_SHOWN] if tests else ""
            for name, tests in self._required(image).items()
        }

    def _here(self, name: str) -> str:
        return translated(name, self.source.google, self.settings.google)


def ago(then: str, now: str) -> str:
    """Return how long ago a time was, in words; both are RFC 3339."""
    seconds = int((utc(now) - utc(then)).total_seconds())
    for unit, size in UNITS:
        if (count := seconds // size) > 0:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
