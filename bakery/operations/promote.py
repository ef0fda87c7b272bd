"""Pins of the stack's settings: ``bakery promote`` and ``bakery rollback``.

They change only the stack's file, so that a review can come before the ``up`` that moves the family.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InputError, UnknownFamily, errors_among
from bakery.host.files import write_atomic
from bakery.library.base import Library
from bakery.library.lookup import pick
from bakery.operations.bake import unknown_family
from bakery.plan.summary import ImageSummary
from bakery.preview import pins
from bakery.preview.plan_report import PlanReport, plan_report
from bakery.preview.snapshot import LibrarySnapshot
from bakery.settings import Settings
from bakery.settings.edit import with_entry


@dataclass(frozen=True)
class Change:
    """A change of the stack's file: ``report`` is the plan of the family with it, ``notes`` is what to know."""

    report: PlanReport
    notes: tuple[str, ...]


def promote(backend: Backend, family: str, image: str = "") -> Change:
    """Pin the family to the image, or to the one that fits the beginning of a name or digest; without, remove the pin.

    Raises InputError for a pin that an ``up`` would refuse, and for a plan with errors; BakeryError if no image fits or
    the file cannot be changed; Uncertain.
    """
    library, planned = backend.library(), _planned(backend.settings)
    if family not in planned and (image or family not in backend.settings.pins):
        raise UnknownFamily([unknown_family(family, {name: one.package for name, one in planned.items()})])
    if image:
        images = [one for one in library.images() if one.candidate_for == family]
        image = pick(image, images, library.families(), [planned[family].name])
    return _change(backend, library, family, image)


def roll_back(backend: Backend, family: str, to: str = "") -> Change:
    """Pin the family to ``to``, or to the newest proven image that is older than the one that it points at.

    Raises BakeryError if there is none, and what :func:`promote` raises.
    """
    if to:
        return promote(backend, family, to)
    library, planned = backend.library(), _planned(backend.settings)
    if family not in planned:
        raise UnknownFamily([unknown_family(family, {name: one.package for name, one in planned.items()})])
    images, families = tuple(library.images()), library.families()
    if family not in families:
        raise BakeryError(f"{family} points at no image, so there is none to go back from", hint="run: pulumi up")
    held, now = LibrarySnapshot(images, families, library.proofs(images)), families[family]
    names = [image.name for image in images if image.candidate_for == family or image.name == now]
    for name in reversed(names[: names.index(now)]):
        if not pins.check(_with(backend.settings, family, name), [*planned.values()], held):
            return _change(backend, library, family, name)
    hint = "see: bakery library; `bakery test IMAGE` tests an image again"
    raise BakeryError(f"no image of {family} that is older than {now} has passed its tests", hint=hint)


def _planned(settings: Settings) -> Mapping[str, ImageSummary]:
    report = plan_report(settings)
    if errors := errors_among(report.problems):
        raise InputError(errors)
    return {decision.image.family: decision.image for decision in report.decisions}


def _with(settings: Settings, family: str, image: str) -> Settings:
    """Return the settings with this pin only: others may be wrong, and are corrected one by one."""
    return replace(settings, pins={family: image} if image else {})


def _change(backend: Backend, library: Library, family: str, image: str) -> Change:
    settings = backend.settings
    report = plan_report(_with(settings, family, image), lambda: library)
    if errors := errors_among(report.problems):
        raise InputError(errors)
    file = settings.source
    assert file is not None  # the command reads settings from a file
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    write_atomic(file, with_entry(before, "pins", settings.pins, family, image).encode())
    others = [
        f"the stack {want.stack} wants {family} at {want.image}: pin it there too, or its next up moves the family"
        for want in library.wants()
        if want.family == family and want.image != image and want.stack.partition("/")[2] != settings.stack
    ]
    ours = tuple(one for one in report.decisions if one.image.family == family)
    done = f"{file.name}: {family} {f'is pinned to {image}' if image else 'follows its recipe'}"
    return Change(replace(report, decisions=ours), (done, *others))
