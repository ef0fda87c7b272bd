"""What was done with a family: the entries that commands and ``pulumi up`` record, and those of people."""

from collections.abc import Sequence

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InputError, Problem
from bakery.host.actor import local_user
from bakery.host.revision import authors
from bakery.library.base import Library
from bakery.library.history import HistoryEntry
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.summary import ImageSummary
from bakery.preview.owners import owners_of, package_folder
from bakery.preview.snapshot import LibrarySnapshot
from bakery.settings import Settings

WHY_LENGTH = 1000  # bytes; the metadata of an object in Cloud Storage have at most 8 KiB


def history(backend: Backend, family: str) -> Sequence[HistoryEntry]:
    """Return the entries of a family, or a channel, oldest first. Raises Uncertain."""
    library = backend.existing_library()
    return library.history.entries(family) if library else ()


def checked(why: str) -> str:
    """Return the reason without white space around it. Raises InputError if it is too long."""
    if len(why.encode()) > WHY_LENGTH:
        hint = "say it in one sentence, or name the ticket that says it"
        raise InputError([Problem("--why", 1, f"has more than {WHY_LENGTH} bytes", hint)])
    return why.strip()


def note(backend: Backend, entry: HistoryEntry) -> tuple[str, ...]:
    """Record what was done in the stack's settings; return a message if that is not possible.

    A library that does not exist yet is not made for it, and an account that may only read it can change the settings.
    """
    library = backend.existing_library()
    try:
        if library is None:
            return ()
        library.history.record(entry)
    except BakeryError as error:
        return (f"{entry.family}: {entry.event} is not in the history: {error.message}",)
    return ()


def refuse_others(settings: Settings, library: Library, family: str, planned: ImageSummary, image: str) -> bool:
    """Return whether the family has owners, of whom one approves the image now.

    Raises BakeryError if it has, and the user of this process is none, or wrote a change of the recipe since the image
    that the family points at; also if the checkout does not say who wrote it.
    """
    owners, who = owners_of(settings, planned), library.history.who
    if not owners:
        return False
    if who.lower() not in owners:
        hint = "ask one of them, or name addresses in owners of recipe.yaml"
        raise BakeryError(f"{family} is approved by {' or '.join(owners)}; you are {who or 'not known'}", hint=hint)
    held = library.listing()
    snapshot = LibrarySnapshot(held.images, held.families)
    since, until = (
        snapshot.records[name].labels.get(REVISION_LABEL, "") if name in snapshot.records else ""
        for name in (snapshot.source(family), image)
    )
    folder = package_folder(settings, planned.package)
    wrote = authors(settings.packages, folder, since, until) if folder else frozenset()
    if mine := {who.lower(), local_user(settings.root).lower()} & wrote:
        hint = f"ask another owner: {', '.join(one for one in owners if one not in wrote) or 'there is none'}"
        raise BakeryError(f"{image} has changes of {planned.package} by {min(mine)}, who can't approve it", hint=hint)
    return True
