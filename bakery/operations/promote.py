"""Pins and approvals of the stack's settings: ``bakery promote``, ``bakery rollback`` and ``bakery approve``.

A ``family`` may also be a channel, whose images are those of its recipe's family.
They change only the stack's file, so that a review can come before the ``up`` that moves the family.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InputError, Problem, UnknownFamily, errors_among
from bakery.host.files import write_atomic
from bakery.library.base import Library
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.lookup import pick
from bakery.library.proof import look_up
from bakery.operations.bake import unknown_family
from bakery.operations.history import checked, note, refuse_others
from bakery.operations.plan import report_of
from bakery.plan.summary import ImageSummary
from bakery.preview.model import needs_approval
from bakery.preview.plan_report import PlanReport
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import families_of, proofs
from bakery.settings import Settings
from bakery.settings.edit import with_entry


@dataclass(frozen=True)
class Change:
    """A change of the stack's file: ``report`` is the plan of the family with it, ``notes`` is what to know."""

    report: PlanReport
    notes: tuple[str, ...]


def promote(backend: Backend, family: str, image: str = "", why: str = "") -> Change:
    """Pin the family to the image, or to the one that fits the beginning of a name or digest; without, remove the pin.

    Raises InputError for a pin that an ``up`` would refuse, and for a plan with errors; BakeryError if no image fits or
    the file cannot be changed; Uncertain.
    """
    library = backend.library()
    planned = planned_images(backend.settings, "" if family in backend.settings.pins and not image else family)
    if image:
        image = fitting(library, planned[family].family, image, planned[family].name)
    entry = HistoryEntry(family, HistoryEvent.PINNED if image else HistoryEvent.UNPINNED, image, why=checked(why))
    return _change(backend, library, "pins", entry)


def roll_back(backend: Backend, family: str, to: str = "", why: str = "") -> Change:
    """Pin the family to ``to``, or to the newest proven image that is older than the one that it points at.

    Raises BakeryError if there is none, and what :func:`promote` raises.
    """
    library, planned = backend.library(), planned_images(backend.settings, family)
    recipe, entry = planned[family].family, HistoryEntry(family, HistoryEvent.ROLLED_BACK, "", why=checked(why))
    if to:
        image = fitting(library, recipe, to, planned[family].name)
        return _change(backend, library, "pins", replace(entry, image=image))
    found = library.listing()
    if family not in found.families:
        raise BakeryError(f"{family} points at no image, so there is none to go back from", hint="run: pulumi up")
    held = LibrarySnapshot(found.images, found.families)
    now = held.source(family)
    names = [image.name for image in found.images if image.candidate_for == recipe or image.name == now]
    if now not in names:
        raise BakeryError(f"{family} points at {now}, which the bakery did not make", hint="run: pulumi up")
    for name in reversed(names[: names.index(now)]):
        if not look_up(library, proofs(name, planned, held)):
            return _change(backend, library, "pins", replace(entry, image=name, previous=now))
    hint = "see: bakery library; `bakery test IMAGE` tests an image again"
    raise BakeryError(f"no image of {family} that is older than {now} has passed its tests", hint=hint)


def approve(backend: Backend, family: str, image: str = "", why: str = "") -> Change:
    """Approve an image of the family, as :func:`promote` finds it; without, that of the recipe.

    If the family has owners, the approval is recorded for one of them, and counts only then. Raises BakeryError if the
    image has not passed its tests yet, or for another user, and what :func:`promote` raises.
    """
    library, planned = backend.library(), planned_images(backend.settings, family)
    if not needs_approval(backend.settings, family):
        message, hint = f"{family} needs no approval", f"add a pattern of it to {backend.settings.namespace}:approval"
        raise InputError([Problem(backend.settings.file, 1, message, hint)])
    image = fitting(library, planned[family].family, image) if image else planned[family].name
    required = proofs(image, planned, LibrarySnapshot(library.listing().images))
    if missing := look_up(library, required):
        raise BakeryError(f"{family} cannot be approved: {missing}", hint="run `pulumi up`, which bakes and tests it")
    entry = HistoryEntry(family, HistoryEvent.APPROVED, image, why=checked(why))
    owned = refuse_others(backend.settings, library, family, planned[family], image)
    return _change(backend, library, "approved", entry, counts=owned)


def planned_images(settings: Settings, family: str = "") -> Mapping[str, ImageSummary]:
    """Return the plan's images by family and channel. Raises InputError, and UnknownFamily if it has not this one."""
    report = report_of(settings)
    if errors := errors_among(report.problems):
        raise InputError(errors)
    planned = families_of(settings, [decision.image for decision in report.decisions])
    if family and family not in planned:
        raise UnknownFamily([unknown_family(family, {name: one.package for name, one in planned.items()})])
    return planned


def fitting(library: Library, family: str, image: str, *others: str) -> str:
    """Return the image of the family that fits the beginning of a name or digest. Raises BakeryError."""
    held = library.listing()
    mine = tuple(one for one in held.images if one.candidate_for == family)
    return pick(image, replace(held, images=mine), others)


def _with(settings: Settings, setting: str, family: str, image: str) -> Settings:
    """Return the settings with this entry and without pins of other families, which are corrected one by one."""
    if setting == "approved":
        pins = {key: pin for key, pin in settings.pins.items() if key == family}
        return replace(settings, pins=pins, approved={**settings.approved, family: image})
    return replace(settings, pins={family: image} if image else {})


def _change(backend: Backend, library: Library, setting: str, entry: HistoryEntry, *, counts: bool = False) -> Change:
    """Write the setting of the entry's family into the stack's file, and record it; if that ``counts``, first."""
    settings, family, image = backend.settings, entry.family, entry.image
    report = report_of(_with(settings, setting, family, image), lambda: library)
    if errors := errors_among(one for one in report.problems if one.file == settings.file):
        raise InputError(errors)
    file = settings.source
    assert file is not None  # the command reads settings from a file
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    after = with_entry(before, f"{settings.namespace}:{setting}", getattr(settings, setting), family, image)
    if counts:
        library.history.record(entry)
    write_atomic(file, after.encode())
    unrecorded = () if counts else note(backend, entry)
    if counts:
        report = report_of(_with(settings, setting, family, image), lambda: library)
    others = [
        f"the stack {want.stack} wants {family} at {want.image}: pin it there too, or its next up moves the family"
        for want in library.wants()
        if want.family == family and want.image != image and want.stack.partition("/")[2] != settings.stack
    ]
    ours = tuple(one for one in report.decisions if one.image.family == family)
    ways = tuple(one for one in report.channels if one.name == family)
    done = f"{image} is approved" if setting == "approved" else f"{family} is pinned to {image}"
    done = f"{file.name}: {done if image else f'{family} follows its recipe'}"
    return Change(report._replace(decisions=ours, channels=ways), (done, *others, *unrecorded))
