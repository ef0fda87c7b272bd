"""Revokes an image and all that was baked from it: ``bakery revoke``."""

from dataclasses import dataclass
from datetime import UTC
from functools import partial

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InputError, Problem
from bakery.library import copies, revocation
from bakery.library.base import Revocation
from bakery.library.copies import Followed
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.lookup import picked
from bakery.library.revocation import Enforced
from bakery.operations.history import checked
from bakery.preview.targets import waits

REASON_LENGTH = 1000  # bytes; the metadata of an object in Cloud Storage have at most 8 KiB


@dataclass(frozen=True)
class Revoked:
    """The revocations that were recorded, and what was done at once: in the library, and with copies."""

    recorded: tuple[Revocation, ...]
    enforced: Enforced
    copies: Followed


def revoke(backend: Backend, wanted: str, reason: str, at: str = "") -> Revoked:
    """Revoke the image that ``wanted`` fits, from ``at`` on (RFC 3339; "" is now), and enforce what is due.

    Raises InputError, Uncertain, and BakeryError if no image or more than one fits.
    """
    problems = []
    if not reason.strip() or len(reason.encode()) > REASON_LENGTH:
        text = f"a reason has between 1 and {REASON_LENGTH} bytes"
        problems.append(Problem("--reason", 1, text, "say in one sentence what is wrong with the image"))
    try:
        time = revocation.utc(at).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
    except (ValueError, OverflowError):
        problems.append(Problem("--at", 1, f"{at!r} is not a time", "write it as 2030-01-31T12:00:00Z"))
    if problems:
        raise InputError(problems)
    library = backend.library()
    image = picked(wanted, library.listing()).source  # what is baked, not what a channel has of it
    recorded = revocation.revoke(library, image, reason.strip(), time or library.now())
    enforced = revocation.enforce(library, partial(waits, backend.settings))
    return Revoked(recorded, enforced, copies.follow(library))


def undo(backend: Backend, image: str, why: str = "") -> tuple[str, ...]:
    """Withdraw the revocations that were made by revoking ``image``; return the images that may be used again.

    ``image`` is a whole name, as the image may be deleted by now. Raises BakeryError if it was not revoked.
    """
    library, why = backend.library(), checked(why)
    if dropped := tuple(library.drop_revocations(image)):
        for name in dropped:
            entry = HistoryEntry(name.rpartition("-")[0], HistoryEvent.UNREVOKED, name, why=why)
            library.history.record(entry)
        return dropped
    raise BakeryError(f"{image} is not revoked", hint="name an image that was revoked itself; see: bakery library")
