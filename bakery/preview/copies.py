"""Families of other projects, which get copies of the images that the stack's families and channels point at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bakery.plan.summary import ImageSummary
from bakery.preview.model import Action, Copy, Target
from bakery.preview.targets import families_of, pointers
from bakery.settings import Settings
from bakery.settings.copies import address

if TYPE_CHECKING:
    from bakery.preview.snapshot import LibrarySnapshot


def copied(settings: Settings, families: Iterable[str]) -> list[tuple[str, str]]:
    """Return those of the families that have copies, each with the project."""
    rules = settings.google.copies.items()
    return [(family, project) for family in families for project, rule in rules if rule.wants(family)]


def everywhere(settings: Settings, planned: Sequence[ImageSummary]) -> list[str]:
    """Return all families and channels of the plan, and those of other projects by their addresses."""
    families = families_of(settings, planned)
    return [*families, *(address(family, project) for family, project in copied(settings, families))]


def copies(
    settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot, own: Mapping[str, Target]
) -> tuple[Copy, ...]:
    """Return what an ``up`` does with the families of other projects; ``own`` are the targets of the families."""
    if not settings.google.copies:
        return ()
    images = pointers(settings, planned, own)
    return tuple(_copy(held, family, project, images[family]) for family, project in copied(settings, images))


def _copy(held: LibrarySnapshot, family: str, project: str, image: str) -> Copy:
    name = address(family, project)
    now = held.pointers.get(name, "")
    if not image or held.points(name, image):
        return Copy(name, family, project, image or now, Action.KEEP)
    return Copy(name, family, project, image, Action.ADOPT, held.roll_back(image, now))
