"""Drift: how the library differs from what stacks registered and the plan says. A pure comparison, in words.

Only a definite "not found" counts as gone: looking must fail if the library cannot be read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bakery.library.base import CopiesIn, ImageRecord, ImageState, Proof, Revocation, Want
from bakery.library.derived import content
from bakery.library.revocation import refusal
from bakery.plan.image_labels import ADOPTED_LABEL, DIGEST_LABEL, image_labels, label, lasting
from bakery.plan.summary import ImageSummary
from bakery.settings.copies import address, family_and_project


class DriftKind(StrEnum):
    """What differs."""

    GONE = "gone"  # an image was deleted by hand
    DAMAGED = "damaged"  # the file of an image
    MOVED = "moved"  # a family does not point at what its stacks want
    UNPROVEN = "unproven"  # a family points at an image that has not passed its tests
    REVOKED = "revoked"  # a family points at a revoked image, or a stack wants one
    UNTRACKED = "untracked"  # an image in a family that no stack knows of
    STATE = "state"  # an image is ACTIVE beside the one that its family points at
    LABELS = "labels"
    SHARING = "sharing"
    LEFTOVER = "leftover"  # a machine, a disk, a scratch folder of work that was killed


@dataclass(frozen=True)
class Drift:
    """One difference: the image, family or other thing that it is about, what is wrong, and what mends it."""

    kind: DriftKind
    subject: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Observed:
    """What was looked up. ``records`` are the images that exist, by name, oldest first.

    ``expected`` maps images that must exist to the stacks that need them. ``strangers`` maps ACTIVE images that have no
    labels of the bakery to the family they are in. ``planned`` are the images of the plan of ``stack``, by name.
    ``unshared`` maps images to the consumers that may not boot from them. ``revoked`` are the revocations
    :func:`~bakery.library.revocation.in_force`. ``copies`` are those in other projects, whose families are in ``wants``
    by their addresses. ``promoted`` is a stack (``<project>/<stack>``) whose state is known, and the families in it.
    """

    stack: str
    records: Mapping[str, ImageRecord] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    wants: Sequence[Want] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    strangers: Mapping[str, str] = field(default_factory=dict)
    planned: Mapping[str, ImageSummary] = field(default_factory=dict)
    unshared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    revoked: Mapping[str, Revocation] = field(default_factory=dict)
    copies: Sequence[CopiesIn] = ()
    promoted: tuple[str, frozenset[str]] = ("", frozenset())


def compare(seen: Observed) -> tuple[Drift, ...]:
    """Return all differences between what was looked up and what should be so."""
    found = (_gone, _moved, _revoked, _unproven, _untracked, _labels, _state, _sharing)
    own = replace(seen, wants=[want for want in seen.wants if not family_and_project(want.family)[1]])
    return (
        *(drift for one in found for drift in one(own)),
        *_unheld(seen),
        *(drift for one in seen.copies for drift in _copies(seen, one)),
    )


def expected_labels(planned: ImageSummary) -> Mapping[str, str]:
    """Return the labels of an image, except for the revision: the same digest comes from many."""
    return image_labels(
        package=planned.package,
        variant=planned.variant,
        family=planned.family,
        digest=planned.digest,
        parent=planned.base.name,
        revision="",
    )


def _up(stack: str, before: str = "") -> str:
    return f"{before}pulumi up --stack {stack.rpartition('/')[2]}"


def _refresh(stack: str) -> str:
    return _up(stack, f"pulumi refresh --stack {stack.rpartition('/')[2]}, then ")


def _gone(seen: Observed) -> Iterator[Drift]:
    for image, stack in seen.expected.items():
        if image not in seen.records:
            text = f"is not in the library, and the stack {stack} needs it"
            yield Drift(DriftKind.GONE, image, text, f"{_up(stack)} bakes and tests it again")


def _moved(seen: Observed) -> Iterator[Drift]:
    wanted: dict[str, dict[str, str]] = {}
    for want in seen.wants:
        if content(want.image) in seen.revoked:
            continue
        wanted.setdefault(want.family, {})[want.image] = want.stack
    for family, images in wanted.items():
        now = seen.families.get(family)
        if now in images or (now is None and not images.keys() & seen.records.keys()):
            continue  # stacks may want different images; those that are gone are reported as such
        shown = [f"{image} ({_state_of(seen, image)}, wanted by {stack})" for image, stack in sorted(images.items())]
        text = f"points at {now or 'no image'} instead of {' or '.join(shown)}"
        yield Drift(DriftKind.MOVED, family, text, _up(next(iter(images.values()))))


def _state_of(seen: Observed, image: str) -> str:
    return str(seen.records[image].state) if image in seen.records else "gone"


def _revoked(seen: Observed) -> Iterator[Drift]:
    for family, name in seen.families.items():
        if one := seen.revoked.get(content(name)):
            text = f"points at {name}, which is revoked: {one.reason}"
            yield Drift(DriftKind.REVOKED, family, text, "bakery prune, which moves it")
    for want in seen.wants:
        if one := seen.revoked.get(content(want.image)):
            error = refusal(want.image, one)
            text = f"the stack {want.stack} wants {error.message}"
            yield Drift(DriftKind.REVOKED, want.family, text, f"{error.hint}; then {_up(want.stack)}")


def _unproven(seen: Observed) -> Iterator[Drift]:
    for family, name in seen.families.items():
        record, planned = seen.records.get(name), seen.planned.get(name)
        if record is None or record.proof is Proof.PASSED:
            continue
        if record.proof is Proof.FAILED or (planned and planned.tests_digest):
            why = "failed its tests" if record.proof is Proof.FAILED else "is untested"
            stack = next((want.stack for want in seen.wants if want.image == name), seen.stack)
            yield Drift(DriftKind.UNPROVEN, family, f"points at {name}, which {why}", f"{_up(stack)} tests it again")


def _untracked(seen: Observed) -> Iterator[Drift]:
    wanted = {want.family for want in seen.wants}
    mine = {planned.family for planned in seen.planned.values()}
    for family, name in seen.families.items():
        if family not in wanted:
            stack = f"--stack {seen.stack}" if family in mine else "of the stack that promoted it"
            text = f"points at {name}, which no stack has registered"
            yield Drift(DriftKind.UNTRACKED, family, text, f"pulumi refresh {stack}, which registers it")
    known = {record.labels.get(ADOPTED_LABEL) for record in seen.records.values()}
    for name, family in seen.strangers.items():
        if seen.families.get(family) != name and label(name) not in known:
            text = f"is in the family {family}, and was not made by the bakery"
            remedy = f"gcloud compute images deprecate {name} --state=DEPRECATED"
            yield Drift(DriftKind.UNTRACKED, name, text, remedy)


def _unheld(seen: Observed) -> Iterator[Drift]:
    """Yield families that a stack has registered, and that its state lacks: no ``destroy`` gives them back."""
    stack, held = seen.promoted
    for want in seen.wants:
        if want.stack == stack and want.family not in held:
            text = f"is wanted by the stack {stack}, whose state has no promotion of it"
            remedy = f"{_up(stack)} if the plan makes it; else bakery recover --withdraw {want.family}"
            yield Drift(DriftKind.UNTRACKED, want.family, text, remedy)


def _labels(seen: Observed) -> Iterator[Drift]:
    for name, record in seen.records.items():
        planned = seen.planned.get(name)
        right = expected_labels(planned) if planned else {} if record.digest else {DIGEST_LABEL: ""}
        wrong = sorted(key for key, value in right.items() if record.labels.get(key) != value)
        if wrong:
            stack = seen.expected.get(name, seen.stack)
            shown = ", ".join(f"{key} is {record.labels.get(key, 'missing')}" for key in wrong)
            yield Drift(DriftKind.LABELS, name, f"has other labels than it was baked with: {shown}", _refresh(stack))


def _state(seen: Observed) -> Iterator[Drift]:
    for name, record in seen.records.items():
        now = seen.families.get(record.family)
        wanted = {want.image: want.stack for want in seen.wants if want.family == record.family}
        if record.state is ImageState.ACTIVE and now not in (None, name) and name not in wanted:
            stack = next(iter(wanted.values()), seen.stack)
            text = f"is ACTIVE, though the family {record.family} points at {now}"
            yield Drift(DriftKind.STATE, name, text, _refresh(stack))


def _sharing(seen: Observed) -> Iterator[Drift]:
    for name, members in seen.unshared.items():
        if members:
            yield Drift(DriftKind.SHARING, name, f"is not shared with {', '.join(members)}", _refresh(seen.stack))


def _copies(seen: Observed, copies: CopiesIn) -> Iterator[Drift]:
    """Yield what differs in one other project; the subject is the address of a family."""
    wanted: dict[str, dict[str, str]] = {}
    for want in seen.wants:
        family, project = family_and_project(want.family)
        if project == copies.project and content(want.image) not in seen.revoked:
            wanted.setdefault(family, {})[want.image] = want.stack
    found = (_copies_moved, _copies_revoked, _copies_changed)
    return (
        replace(drift, subject=address(drift.subject, copies.project))
        for one in found
        for drift in one(seen, copies, wanted)
    )


def _copies_moved(seen: Observed, copies: CopiesIn, wanted: Mapping[str, Mapping[str, str]]) -> Iterator[Drift]:
    there = {record.name: record.state for record in copies.images}
    for family, images in wanted.items():
        now = copies.families.get(family)
        if now in images or not images.keys() & seen.records.keys():
            continue  # images of the library that are gone are reported as such
        shown = [f"{image} ({there.get(image, 'gone')}, wanted by {stack})" for image, stack in sorted(images.items())]
        kind = DriftKind.MOVED if images.keys() & there.keys() else DriftKind.GONE
        text = f"points at {now or 'no image'} instead of a copy of {' or '.join(shown)}"
        yield Drift(kind, family, text, _up(next(iter(images.values()))))


def _copies_revoked(seen: Observed, copies: CopiesIn, wanted: Mapping[str, Mapping[str, str]]) -> Iterator[Drift]:
    names = {record.name for record in copies.images}
    for family, now in copies.families.items():
        original = seen.records.get(now)
        if content(now) in seen.revoked or (original and original.state is ImageState.OBSOLETE):
            text = f"points at a copy of {now}, which must not be used any more"
            yield Drift(DriftKind.REVOKED, family, text, "bakery prune, which moves it")
        elif family not in wanted and now in names:
            text = f"points at a copy of {now}, which no stack has registered"
            yield Drift(DriftKind.UNTRACKED, family, text, f"pulumi refresh --stack {seen.stack}, which registers it")


def _copies_changed(seen: Observed, copies: CopiesIn, wanted: Mapping[str, Mapping[str, str]]) -> Iterator[Drift]:
    for copy in copies.images:
        labels = lasting(seen.records[copy.name].labels) if copy.name in seen.records else {}
        if wrong := sorted(key for key, value in labels.items() if copy.labels.get(key) != value):
            text = f"the copy of {copy.name} has other labels than the image: {', '.join(wrong)}"
            yield Drift(DriftKind.LABELS, copy.family, text, _refresh(seen.stack))
        now = copies.families.get(copy.family)
        images = wanted.get(copy.family, {})
        if copy.state is ImageState.ACTIVE and now in images and copy.name not in images:
            text = f"the copy of {copy.name} is ACTIVE, though the family points at {now}"
            yield Drift(DriftKind.STATE, copy.family, text, _refresh(seen.stack))
