"""Retention: a pure decision which images are moved to which state, and its application to a library.

An unwanted image passes through Compute Engine's states: DEPRECATED (boots with a warning), OBSOLETE (does not boot,
can be restored) and DELETED (its file is deleted). It becomes OBSOLETE ``retentionDays`` after it became DEPRECATED,
and is DELETED at the end of the grace period that follows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bakery.library.base import ImageRecord, ImageState, Library, Proof, Want

GRACE_DAYS = 7


@dataclass(frozen=True)
class Step:
    """The next state of an image that is not ACTIVE, or None if it keeps its state; ``why`` is a message."""

    image: ImageRecord
    to: ImageState | None
    why: str


@dataclass(frozen=True)
class Pruned:
    """The steps that a prune applied (or would apply), those that keep an image as it is, and the bytes freed."""

    moved: tuple[Step, ...]
    kept: tuple[Step, ...]
    freed: int


def next_steps(
    images: Sequence[ImageRecord],
    pointers: Mapping[str, str],
    deprecated: Mapping[str, str],
    now: datetime,
    days: int,
    *,
    leased: Collection[str] = (),
    planned: Collection[str] = (),
    wants: Iterable[Want] = (),
) -> tuple[Step, ...]:
    """Return a step for every image that is not ACTIVE, oldest first.

    ``pointers`` maps families to images; ``deprecated`` maps images to the time of their deprecation (RFC 3339), and an
    image without that time is kept; ``leased`` are images in use; ``planned`` are images that a plan needs; ``wants``
    are those of all stacks.
    An image is deleted only if it is old enough and there is no reason to keep it; a parent is deleted after its
    children.
    """
    reasons = _reasons(images, pointers, leased, planned, wants)
    steps = []
    for image in images:
        if image.state in (ImageState.ACTIVE, ImageState.DELETED):
            continue
        reason = reasons.get(image.name, "" if image.name in deprecated else "the time of its deprecation is unknown")
        steps.append(Step(image, None, reason) if reason else _step(image, now - _utc(deprecated[image.name]), days))
    return tuple(steps)


def _step(image: ImageRecord, age: timedelta, days: int) -> Step:
    grace = min(GRACE_DAYS, days)
    if age >= timedelta(days=days + grace):
        return Step(image, ImageState.DELETED, f"not wanted for {age.days} days")
    if age >= timedelta(days=days) and image.state is ImageState.DEPRECATED:
        left = days + grace - age.days
        return Step(image, ImageState.OBSOLETE, f"not wanted for {age.days} days, deleted in {left}")
    ahead = "OBSOLETE" if image.state is ImageState.DEPRECATED else "deleted"
    left = (days if image.state is ImageState.DEPRECATED else days + grace) - age.days
    return Step(image, None, f"not old enough: {ahead} in {left} days")


def _reasons(
    images: Sequence[ImageRecord],
    pointers: Mapping[str, str],
    leased: Collection[str],
    planned: Collection[str],
    wants: Iterable[Want],
) -> dict[str, str]:
    """Map images to the reason why they are kept whatever their age; the strongest reason is assigned last."""
    reasons = {name: f"the fallback of family {family}" for family, name in _fallbacks(images, pointers).items()}
    # Local images are flattened and boot without their parent; it is kept so that the lineage can be baked again.
    reasons |= {child.parent: f"parent of {child.name}" for child in images if child.parent}
    reasons |= {want.image: f"the stack {want.stack} wants it" for want in wants}
    reasons |= dict.fromkeys(planned, "the plan wants it")
    reasons |= dict.fromkeys(leased, "something boots from it")
    reasons |= {name: f"the family {family} points at it" for family, name in pointers.items()}
    return reasons


def _fallbacks(images: Sequence[ImageRecord], pointers: Mapping[str, str]) -> dict[str, str]:
    """Map families to the newest proven image that no family points at: the one to roll back to."""
    promoted = set(pointers.values())
    return {
        family: image.name
        for image in images
        if image.proof is Proof.PASSED and image.name not in promoted
        for family in {image.candidate_for, image.family} - {""}
    }


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def prune(library: Library, days: int, *, planned: Collection[str] = (), dry_run: bool = False) -> Pruned:
    """Decide about all images of the library and, unless ``dry_run``, apply the steps.

    Raises Uncertain; steps that were applied before stay applied.
    """
    images = library.images()
    now = _utc(library.now())
    steps = next_steps(
        images,
        library.families(),
        library.deprecated_since(),
        now,
        days,
        leased=library.in_use(),
        planned=planned,
        wants=library.wants(),
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
