"""Pins: families that the settings hold at an image, whatever their recipes say.

A pin moves only what consumers see. The recipe's own image is still baked and tested, and children are baked from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bakery.errors import Problem
from bakery.plan.summary import ImageSummary
from bakery.settings import PROJECT, Settings

if TYPE_CHECKING:
    from bakery.preview.snapshot import LibrarySnapshot


def check(settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot) -> tuple[Problem, ...]:
    """Return a problem for each pin that an ``up`` cannot honour. ``held`` is a library that could be read."""
    families = {image.family: image for image in planned}
    return tuple(
        Problem(settings.file, 1, f"{PROJECT}:pins.{family}: {fault}", hint)
        for family, image in sorted(settings.pins.items())
        for fault, hint in _fault(family, image, families, held)
    )


def _fault(
    family: str, image: str, planned: Mapping[str, ImageSummary], held: LibrarySnapshot
) -> Iterator[tuple[str, str]]:
    from bakery.library.proof import missing_proof  # not needed by a plan without pins

    if family not in planned:
        close = get_close_matches(family, planned) or sorted(planned)
        yield "the plan has no such family", f"use one of: {', '.join(close)}"
    elif image != planned[family].name:  # an image of the plan is baked and tested if it has to be
        record = held.records.get(image)
        if record is not None and record.candidate_for != family:
            yield f"{image} is an image of {record.candidate_for}", f"pin an image of {family}; see: bakery library"
        elif missing := missing_proof(proofs(image, planned, held), held.images, held.proven, held.revoked):
            yield missing, f"pin another image (see: bakery library), or remove the pin: bakery promote {family}"


def proofs(image: str, planned: Mapping[str, ImageSummary], held: LibrarySnapshot) -> dict[str, str]:
    """Map a pinned image and those of its ancestors that still exist, the oldest first, to the tests that prove them.

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
