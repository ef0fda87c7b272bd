"""The history of families: who promoted, pinned, approved or revoked an image, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class HistoryEvent(StrEnum):
    """What was done with a family or one of its images. The values are stored: they never change."""

    PROMOTED = "promoted"
    WITHDRAWN = "given back"
    LOST = "lost"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    ROLLED_BACK = "rolled back"
    APPROVED = "approved"
    REVOKED = "revoked"
    UNREVOKED = "revocation withdrawn"
    FAILED = "failure reported"
    RESUMED = "failure withdrawn"
    ADOPTED = "adopted"


@dataclass(frozen=True)
class HistoryEntry:
    """One event of a family.

    ``image`` is the one that it is about; if the family points at another one since, that is ``image`` ("" for none),
    and ``previous`` the one before. ``event`` is a :class:`HistoryEvent`, or one of a newer bakery. The library fills
    in ``at`` (RFC 3339 in UTC), ``who`` (an address or a login name; "" if not known), ``stack``, and the ``revision``
    of the recipes (a git commit).
    """

    family: str
    event: str
    image: str
    previous: str = ""
    why: str = ""
    at: str = ""
    who: str = ""
    stack: str = ""
    revision: str = ""


class History(Protocol):
    """The history of a library's families. Both methods raise Uncertain."""

    @property
    def who(self) -> str:
        """The user or account of this process, as entries name them; "" if it is not known."""

    def record(self, entry: HistoryEntry) -> None:
        """Add an entry, with the present time, user, stack and commit."""

    def entries(self, family: str) -> Sequence[HistoryEntry]:
        """Return the entries of a family, oldest first."""
