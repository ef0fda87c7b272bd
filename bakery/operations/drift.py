"""Looks for drift: changes that the bakery did not make, and what killed processes left. ``bakery drift``."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bakery.backends.base import Backend
from bakery.errors import InputError, errors_among
from bakery.library.base import ImageRecord, Library
from bakery.library.revocation import in_force
from bakery.operations.file_backend import file_backend, stored
from bakery.operations.plan import report_of
from bakery.operations.recover import images_of
from bakery.preview.drift import Drift, DriftKind, Observed, compare
from bakery.preview.snapshot import expected
from bakery.settings.files import StackFiles

CALLS_AT_ONCE = 8


def drift(backend: Backend, files: StackFiles, backend_url: str) -> tuple[Drift, ...]:
    """Return all drift of the stack's library; nothing is changed.

    ``backend_url`` is Pulumi's: the images of a state in a ``file://`` backend must exist, those of other states only
    if they are promoted. Raises InputError for recipes with errors, and Uncertain if the library can't be read.
    """
    plan = report_of(backend.settings)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    state = file_backend(backend_url, files)
    deployment = stored(state) if state is not None else {}
    images = images_of(deployment)
    owner = f"{files.project}/{files.stack}"
    library = expected(backend.settings, backend.existing_library) if images else backend.existing_library()
    seen = Observed(
        files.stack,
        expected=dict.fromkeys(images, owner),
        promoted=(owner, frozenset(images_of(deployment, "PromotedImage"))) if images else ("", frozenset()),
        planned={decision.image.name: decision.image for decision in plan.decisions},
    )
    if library is not None:
        seen = _observe(library, seen, owner, backend.settings.google.consumer_members)
    left = [Drift(DriftKind.DAMAGED, "library", line, "see there") for line in backend.damaged(contents=False)]
    for line in backend.recover(dry_run=True):
        left.append(Drift(DriftKind.LEFTOVER, "recover", f"would have {line}", "bakery recover"))
    return (*compare(seen), *left)


def _observe(library: Library, seen: Observed, owner: str, consumers: tuple[str, ...]) -> Observed:
    held, wants = library.listing(), tuple(library.wants())
    records = {record.name: record for record in held.images}
    needed = {want.image: want.stack for want in wants} | dict(seen.expected)
    mine = [want.image for want in wants if want.stack == owner] if consumers else []
    records |= _found(library, [name for name in needed if name not in records])
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        shared = [name for name in mine if name in records]
        unshared = dict(zip(shared, pool.map(lambda name: library.unshared(name, consumers), shared), strict=True))
    return replace(
        seen,
        records=records,
        families=held.families,
        wants=wants,
        expected=needed,
        strangers=held.strangers,
        unshared=unshared,
        revoked=in_force(library.revocations(), library.now()),
        copies=[project.look() for project in library.copies(wants)],
    )


def _found(library: Library, names: list[str]) -> Mapping[str, ImageRecord]:
    """Return those of the images that exist although the list lacks them: they have lost their labels."""
    return {name: record for name in names if (record := library.find(name)) is not None}
