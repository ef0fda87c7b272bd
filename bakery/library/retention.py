"""Which images may go: a pure decision, and its application to a library.

An image that is no longer wanted walks through Compute Engine's states: DEPRECATED (still boots, warns), OBSOLETE (may
not be booted any more, can be brought back), DELETED (the file goes). ``retentionDays`` counts from the day it became
DEPRECATED until it is OBSOLETE; the grace time until it is DELETED follows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bakery.library.base import ImageRecord, ImageState, Library, Proof

GRACE_DAYS = 7


@dataclass(frozen=True)
class Step:
    """What becomes of an image that is not ACTIVE: its next state, or None to leave it as it is; ``why`` in words."""

    image: ImageRecord
    to: ImageState | None
    why: str


@dataclass(frozen=True)
class Pruned:
    """What a prune did (or would do): the steps that move an image, those that keep one, bytes that became free."""

    moved: tuple[Step, ...]
    kept: tuple[Step, ...]
    freed: int


def decide(
    images: Sequence[ImageRecord],
    pointers: Mapping[str, str],
    since: Mapping[str, str],
    now: datetime,
    days: int,
    *,
    leased: Collection[str] = (),
    planned: Collection[str] = (),
) -> tuple[Step, ...]:
    """A step for every image that is not ACTIVE, oldest first.

    ``pointers`` are the families; ``since`` says when an image became DEPRECATED (RFC 3339; what nobody noted stays);
    ``leased`` are names that something boots from; ``planned`` names that a plan bakes from or wants.
    Deleting takes both: old enough, and no reason to keep. An image that is a parent goes after its children.
    """
    reasons = _reasons(images, pointers, leased, planned)
    steps = []
    for image in images:
        if image.state in (ImageState.ACTIVE, ImageState.DELETED):
            continue
        reason = reasons.get(image.name, "" if image.name in since else "nobody noted when it was deprecated")
        steps.append(Step(image, None, reason) if reason else _step(image, now - _time(since[image.name]), days))
    return tuple(steps)


def _step(image: ImageRecord, age: timedelta, days: int) -> Step:
    grace = min(GRACE_DAYS, days)
    if age >= timedelta(days=days + grace):
        return Step(image, ImageState.DELETED, f"not wanted for {age.days} days")
    if age >= timedelta(days=days) and image.state is ImageState.DEPRECATED:
        return Step(image, ImageState.OBSOLETE, f"not wanted for {age.days} days, goes in {days + grace - age.days}")
    ahead = "OBSOLETE" if image.state is ImageState.DEPRECATED else "deleted"
    left = (days if image.state is ImageState.DEPRECATED else days + grace) - age.days
    return Step(image, None, f"not old enough: {ahead} in {left} days")


def _reasons(
    images: Sequence[ImageRecord],
    pointers: Mapping[str, str],
    leased: Collection[str],
    planned: Collection[str],
) -> dict[str, str]:
    """Why images stay whatever their age, by name; the strongest reason stands last and wins."""
    found = {name: f"the way back for family {family}" for family, name in _ways_back(images, pointers).items()}
    # Local images are flattened and boot without their parent; it stays so that the lineage can be baked again.
    found |= {child.parent: f"parent of {child.name}" for child in images if child.parent}
    found |= dict.fromkeys(planned, "the plan wants it")
    found |= dict.fromkeys(leased, "something boots from it")
    found |= {name: f"the family {family} points at it" for family, name in pointers.items()}
    return found


def _ways_back(images: Sequence[ImageRecord], pointers: Mapping[str, str]) -> dict[str, str]:
    """Family to the newest proven image that it does not point at: what a release would give it back to."""
    held = set(pointers.values())
    return {
        family: image.name
        for image in images
        if image.proof is Proof.PASSED and image.name not in held
        for family in {image.candidate_for, image.family} - {""}
    }


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def prune(library: Library, days: int, *, planned: Collection[str] = (), dry_run: bool = False) -> Pruned:
    """Decide about all images of the library and, unless ``dry_run``, do it. Raises Uncertain; what is done is done."""
    images = library.images()
    now = _time(library.now())
    steps = decide(
        images, library.families(), library.deprecated_since(), now, days, leased=library.in_use(), planned=planned
    )
    moved, kept, freed = [], [], 0
    for step in steps:
        if step.to is None:
            kept.append(step)
            continue
        size = step.image.size if dry_run else library.set_state(step.image, step.to)
        if size is None:
            kept.append(Step(step.image, None, "it came into use meanwhile"))
            continue
        moved.append(step)
        freed += size if step.to is ImageState.DELETED else 0
    return Pruned(tuple(moved), tuple(kept), freed)
