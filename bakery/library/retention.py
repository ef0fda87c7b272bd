"""Retention: a pure decision which images are moved to which state, and its application to a library.

An unwanted image passes through Compute Engine's states: DEPRECATED (boots with a warning), OBSOLETE (does not boot,
can be restored) and DELETED (its file is deleted). It becomes OBSOLETE some days after it became DEPRECATED (setting
``retention``), and is DELETED at the end of the grace period that follows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bakery.library.base import ImageRecord, ImageState, Library, Proof, Want
from bakery.library.copies import Followed
from bakery.library.derived import content
from bakery.library.revocation import Due, Enforced, in_force, utc
from bakery.settings.retention import EVERY_FAMILY, Retention

GRACE_DAYS = 7


@dataclass(frozen=True)
class Step:
    """The next state of an image that is not ACTIVE, or None if it keeps its state; ``why`` is a message."""

    image: ImageRecord
    to: ImageState | None
    why: str


@dataclass(frozen=True)
class Pruned:
    """The steps that a prune applied (or would apply), those that keep an image as it is, and the bytes freed.

    ``layers`` are the bytes of deleted layers and boot snapshots, ``copies`` is what was done with those in other
    projects, ``enforced`` what revocations did before.
    """

    moved: tuple[Step, ...]
    kept: tuple[Step, ...]
    freed: int
    layers: int = 0
    copies: Followed = field(default_factory=Followed)
    enforced: Enforced = field(default_factory=lambda: Enforced({}, ()))


def next_steps(
    images: Sequence[ImageRecord],
    pointers: Mapping[str, str],
    deprecated: Mapping[str, str],
    now: datetime,
    rules: Mapping[str, Retention],
    *,
    needed: Mapping[str, str] | None = None,
    wants: Iterable[Want] = (),
    revoked: Collection[str] = (),
) -> tuple[Step, ...]:
    """Return a step for every image that is not ACTIVE, oldest first.

    ``pointers`` maps families to images; ``deprecated`` maps images to the time of their deprecation (RFC 3339), and an
    image without that time is kept; ``rules`` are those of the settings; ``needed`` maps images that are in use or
    planned to the reason; ``wants`` are those of all stacks; ``revoked`` are the contents of revoked images, which are
    nothing to roll back to.
    An image is deleted only if it is old enough and there is no reason to keep it; a parent is deleted after its
    children.
    """
    fallbacks = _fallbacks([image for image in images if content(image.name) not in revoked], pointers, rules)
    reasons = _labelled(images, rules) | fallbacks | _reasons(images, pointers, needed or {}, wants)
    steps = []
    for image in images:
        if image.state in (ImageState.ACTIVE, ImageState.DELETED):
            continue
        reason = reasons.get(image.name, "" if image.name in deprecated else "the time of its deprecation is unknown")
        days = rule_of(image.candidate_for, rules).days
        steps.append(Step(image, None, reason) if reason else _step(image, now - utc(deprecated[image.name]), days))
    return tuple(steps)


def rule_of(family: str, rules: Mapping[str, Retention]) -> Retention:
    """Return the rule of a family; ``rules`` has one for EVERY_FAMILY."""
    return rules.get(family) or rules[EVERY_FAMILY]


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
    needed: Mapping[str, str],
    wants: Iterable[Want],
) -> dict[str, str]:
    """Map images to the reason why they are kept whatever their age; the strongest reason is assigned last."""
    # Local images are flattened and boot without their parent; it is kept so that the lineage can be baked again.
    reasons = {child.parent: f"parent of {child.name}" for child in images if child.parent}
    promoted = set(pointers.values())
    reasons |= {
        image.source: f"{image.name}, which the family {image.family} points at, was made from it"
        for image in images
        if image.source != image.name and image.name in promoted
    }
    reasons |= {want.image: f"the stack {want.stack} wants it" for want in wants}
    reasons |= needed
    reasons |= {name: f"the family {family} points at it" for family, name in pointers.items()}
    return reasons


def _labelled(images: Sequence[ImageRecord], rules: Mapping[str, Retention]) -> dict[str, str]:
    """Return the images that the settings keep by their labels."""
    wanted = {image.name: rule_of(image.candidate_for, rules).labels for image in images}
    return {
        image.name: f"the settings keep {', '.join(f'{key}={value}' for key, value in wanted[image.name].items())}"
        for image in images
        if wanted[image.name] and wanted[image.name].items() <= image.labels.items()
    }


def _fallbacks(
    images: Sequence[ImageRecord], pointers: Mapping[str, str], rules: Mapping[str, Retention]
) -> dict[str, str]:
    """Return the newest proven images of each family that no family points at: those to roll back to."""
    promoted = set(pointers.values())
    left: dict[str, int] = {}
    kept: dict[str, str] = {}
    for image in reversed(images):
        for family in {image.candidate_for, image.family} - {""}:
            if image.proof is Proof.PASSED and image.name not in promoted:
                number = left.setdefault(family, rule_of(family, rules).keep)
                left[family] -= 1
                if number > 0:
                    kept[image.name] = f"the fallback of family {family}"
    return kept


def prune(
    library: Library,
    rules: Mapping[str, Retention],
    *,
    planned: Mapping[str, str] | None = None,
    dry_run: bool = False,
    due: Due | None = None,
) -> Pruned:
    """Decide about all images of the library and, unless ``dry_run``, apply the steps.

    ``planned`` maps images that a plan needs to the reason; ``due`` is what a dry run takes for done already. Raises
    Uncertain; steps that were applied before stay applied.
    """
    held = due.after(library.now()) if due else library.listing()
    steps = next_steps(
        held.images,
        held.families,
        held.deprecated,
        utc(library.now()),
        rules,
        needed={**(planned or {}), **library.in_use()},
        wants=library.wants(),
        revoked={*due.revoked, *map(content, due.names)} if due else in_force(library.revocations(), library.now()),
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
