"""The history of families: empty objects ``history/<family>/<time>-<a random word>`` in the artifacts bucket.

The rest of an entry is the object's metadata, which comes with the list of objects.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from bakery import settings
from bakery.host.actor import commit
from bakery.host.clock import utc_now
from bakery.host.google import STORAGE_RETRY, Google, api_errors, ignore_missing
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.settings import Settings

_FIELDS = {field.name for field in fields(HistoryEntry)} - {"family"}
_MOVES = (HistoryEvent.PROMOTED, HistoryEvent.WITHDRAWN)


class ComputeEngineHistory:
    """The history of the families of a project."""

    def __init__(self, google: Google, stack: Settings) -> None:
        self._google = google
        self._stack = stack
        self._bucket = google.storage.bucket(google.settings.bucket(settings.Bucket.ARTIFACTS))

    @property
    def who(self) -> str:
        """Return the account of the credentials."""
        return self._google.principal

    def record(self, entry: HistoryEntry) -> None:
        """Add an entry."""
        stack, at = self._stack, utc_now()
        signed = replace(entry, at=at, who=self.who, stack=stack.stack, revision=commit(stack.root))
        with api_errors(f"record that {entry.image} was {entry.event}"):
            blob = self._bucket.blob(f"history/{entry.family}/{at}-{uuid.uuid4().hex[:8]}")
            blob.metadata = {name: value for name, value in asdict(signed).items() if value and name != "family"}
            blob.upload_from_string(b"", retry=STORAGE_RETRY)

    def entries(self, family: str) -> Sequence[HistoryEntry]:
        """Return the entries of a family, oldest first; none if the bucket does not exist."""
        found: list[HistoryEntry] = []
        with ignore_missing(f"list the history of {family}"):
            for blob in self._bucket.list_blobs(prefix=f"history/{family}/", retry=STORAGE_RETRY):
                data = {"event": "", "image": "", **(blob.metadata or {})}
                entry = HistoryEntry(family, **{name: data[name] for name in data.keys() & _FIELDS})
                if not (found and _repeats(entry, found[-1])):
                    found.append(entry)
        return found


def _repeats(entry: HistoryEntry, before: HistoryEntry) -> bool:
    """Return whether a change of the family was tried again: it is recorded before it is made."""
    same = entry.event in _MOVES and (entry.event, entry.image) == (before.event, before.image)
    return same and entry.previous in (before.previous, "")
