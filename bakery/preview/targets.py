"""Targets: families that do not follow their recipes, because they are pinned or wait for an approval.

A channel is one more family for the images of a recipe's family, named ``<family>-<channel>``. Pins and approvals hold
for it as for every family. An image of Compute Engine has one family, so a channel has images of its own, which are
made from those of the recipe.

That moves only what consumers see. The recipe's own image is still baked and tested, and children are baked from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bakery.plan.summary import ImageSummary
from bakery.preview.model import Action, Channel, Target, channel_family, needs_approval
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.preview.snapshot import LibrarySnapshot


def targets(settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot) -> dict[str, Target]:
    """Map the families and channels of the plan that have a pin or wait for an approval to their targets.

    A family that waits stays at the image that was approved last or, if that is not in the library, where it points.
    One of a staged roll-out stays where it points, if it does.
    """
    families = families_of(settings, planned)
    found: dict[str, Target] = {}
    moved = _moved(settings, held)
    for family, image in families.items():
        stays = moved.get(family, held.source(family))
        if pin := settings.pins.get(family):
            found[family] = Target(pin, f"pinned to {pin}")
        elif needs_approval(settings, family) and (approved := _approved(settings, family, image, held)) != image.name:
            usable = approved and not [*pin_faults(family, approved, families, held)]
            stays = approved if usable else stays
            if stays != image.name:
                found[family] = Target(stays, _asks(settings, family, image), "approval")
        elif why := _rolls_out(settings, family, families, held, stays):
            found[family] = Target(stays, why, "rollout")
    return found


def _approved(settings: Settings, family: str, image: ImageSummary, held: LibrarySnapshot) -> str:
    """Return the image of the family that is approved, "" for none.

    The settings name it; if the family has owners, one of them has to have approved it, see ``bakery approve``.
    """
    approved = settings.approved.get(family, "")
    if not approved or held.approvals is None or held.source(family) == approved:
        return approved
    from bakery.preview.owners import owners_of  # here and below: not needed by a plan without approvals

    names = owners_of(settings, image)
    return approved if not names or {who.lower() for who in held.approvals.get(family, ())} & {*names} else ""


def _asks(settings: Settings, family: str, image: ImageSummary) -> str:
    from bakery.preview.owners import owners_of

    names = " or ".join(owners_of(settings, image))
    return f"waits for approval{f' by {names}' if names else ''}: bakery approve {family}"


def families_of(settings: Settings, planned: Sequence[ImageSummary]) -> dict[str, ImageSummary]:
    """Map each family of the plan, and each channel of one, to the image of its recipe."""
    families = {image.family: image for image in planned}
    channels = {
        channel_family(family, channel): image
        for channel, patterns in settings.channels.items()
        for family, image in families.items()
        if any(fnmatchcase(family, pattern) for pattern in patterns)
    }
    return families | {name: image for name, image in channels.items() if name not in families}


def channels(
    settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot, own: Mapping[str, Target]
) -> tuple[Channel, ...]:
    """Return what an ``up`` does with each channel; ``own`` are the :func:`targets`."""
    found, images = [], pointers(settings, planned, own)
    for name, image in families_of(settings, planned).items():
        if name == image.family:
            continue
        target, now, made = own.get(name), held.families.get(name, ""), images[name]
        source = target.image if target else image.name
        action = Action.KEEP if made == now else Action.ADOPT
        reasons = (target.why,) if target else ()
        if action is Action.ADOPT:
            made_from = (f"made from {source}",) if source else ()
            reasons = (*made_from, *reasons, *held.roll_back(source, held.source(name)))
        found.append(Channel(name, image.family, source, made, action, reasons))
    return tuple(found)


def pointers(settings: Settings, planned: Sequence[ImageSummary], own: Mapping[str, Target]) -> dict[str, str]:
    """Map each family and channel to the image that it will point at, "" for none; ``own`` are the :func:`targets`."""
    from bakery.library.derived import derived_name  # not needed by a plan without channels and copies

    images = {}
    for name, image in families_of(settings, planned).items():
        source = own[name].image if name in own else image.name
        images[name] = derived_name(source, name) if source and name != image.family else source
    return images


def hours(settings: Settings, family: str) -> int:
    """Return how long the family waits in a staged roll-out, in hours; 0 if it is one of the first."""
    return max((rule.hours for pattern, rule in settings.rollout.items() if fnmatchcase(family, pattern)), default=0)


def staged(settings: Settings, planned: Sequence[ImageSummary]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Map families to the channel that their partitions use in a staged roll-out, and to those that go before it."""
    return {
        image.family: (family, first)
        for family, image in families_of(settings, planned).items()
        if family != image.family and (first := _first(settings, family))
    }


def _first(settings: Settings, family: str) -> tuple[str, ...]:
    rules = settings.rollout.items()
    return tuple(name for pattern, rule in rules if fnmatchcase(family, pattern) for name in rule.first)


def _rolls_out(
    settings: Settings, family: str, families: Mapping[str, ImageSummary], held: LibrarySnapshot, stays: str
) -> str:
    """Return why the family, which ``stays`` at an image, does not get its recipe's yet, or "".

    One that points at nothing does not wait. Without the library's time, as in a plan of two revisions, none does.
    """
    image, wait = families[family], hours(settings, family)
    if not (wait and held.now) or stays in ("", image.name):
        return ""
    from datetime import UTC, datetime, timedelta  # these are not needed by a plan without a roll-out

    from bakery.library.revocation import utc
    from bakery.plan.image_labels import FAILURE_LABEL, FIRST_LABEL
    from bakery.preview import drift

    first = [name for name, other in families.items() if other is image and not hours(settings, name)]
    record = held.records.get(image.name)
    where = next((name for name in first if record and held.source(name) == image.name), "")
    if record is None or not where:
        return f"waits for {wait} hours after {' or '.join(first)}"
    if failure := record.labels.get(FAILURE_LABEL):
        return f"stopped, a failure of {image.name} was reported: {failure}"
    if record.proof == "failed":
        return f"stopped, {image.name} failed its tests"
    seen = drift.Observed(settings.stack, records={image.name: record}, planned={image.name: image})
    if found := drift.compare(seen):
        return f"stopped, {image.name} {found[0].message}: {found[0].remedy}"
    began, names = record.labels.get(FIRST_LABEL), ", ".join(_first(settings, family))
    after = f"{where} (partitions: {names})" if names else where
    try:
        due = (datetime.fromtimestamp(int(began), UTC) if began else utc(record.created)) + timedelta(hours=wait)
    except (ValueError, OverflowError, OSError):
        why = f"stopped, the label {FIRST_LABEL} of {image.name} is not a time: {began}"
    else:
        later = due > utc(held.now)
        why = f"waits until {due:%Y-%m-%d %H:%M} UTC, {wait} hours after {after}" if later else ""
    return why


def _moved(settings: Settings, held: LibrarySnapshot) -> dict[str, str]:
    """Map families that point at revoked images to the recipe's images that they get instead, "" for none."""
    if not held.revoked:
        return {}
    from bakery.library.base import Listing
    from bakery.library.revocation import affected, moves

    names = affected(held.images, held.revoked.keys())
    found = moves(Listing(held.images, held.families), names, lambda family: waits(settings, family))
    return {family: move.source or (held.records[move.to].source if move.to else "") for family, move in found.items()}


def waits(settings: Settings, family: str) -> bool:
    """Return whether an image of the family waits: for an approval, or for others in a staged roll-out."""
    return needs_approval(settings, family) or hours(settings, family) > 0


def pin_faults(
    family: str, image: str, planned: Mapping[str, ImageSummary], held: LibrarySnapshot
) -> Iterator[tuple[str, str]]:
    """Yield why an ``up`` cannot honour a pin of the family to the image, and what to do."""
    from bakery.library.proof import missing_proof  # not needed by a plan without pins

    if family not in planned:
        from difflib import get_close_matches  # needed for this error only

        close = get_close_matches(family, planned) or sorted(planned)
        yield "the plan has no such family", f"use one of: {', '.join(close)}"
    elif image != planned[family].name:  # an image of the plan is baked and tested if it has to be
        record = held.records.get(image)
        own = planned[family].family
        if record is not None and record.candidate_for != own:
            yield f"{image} is an image of {record.candidate_for}", f"pin an image of {own}; see: bakery library"
        elif missing := missing_proof(proofs(image, planned, held), held.images, held.proven, held.revoked):
            yield missing, f"pin another image (see: bakery library), or remove the pin: bakery promote {family}"


def proofs(image: str, planned: Mapping[str, ImageSummary], held: LibrarySnapshot) -> dict[str, str]:
    """Map an image of the library and those of its ancestors that still exist, the oldest first, to their proofs.

    Its tests were those of another time, so the last verdict counts, whatever the tests. ``planned`` are the plan's
    images by family: an image whose recipe has no tests needs no verdict, unless it has one.
    """
    from bakery.library.base import Proof
    from bakery.library.proof import ANY_TESTS

    line = {image: ANY_TESTS}
    while record := held.records.get(image):
        own = planned.get(record.candidate_for)
        untestable = own is not None and not own.tests_digest and record.proof is Proof.UNTESTED
        line[image] = "" if untestable else ANY_TESTS
        image = record.parent
        if image in line:
            break
    return dict(reversed(line.items()))
