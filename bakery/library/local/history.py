"""The history of families in the local library's database."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace

from bakery.host.actor import commit, local_user
from bakery.library.history import HistoryEntry
from bakery.library.local import rows
from bakery.library.local.database import Database
from bakery.settings import Settings

_COLUMNS = ", ".join(field.name for field in fields(HistoryEntry))


class LocalHistory:
    """The table ``history``. ``clock`` returns the time as RFC 3339 in UTC."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], str]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    @property
    def who(self) -> str:
        """Return the user of this process."""
        return local_user(self._settings.root)

    def record(self, entry: HistoryEntry) -> None:
        """Add an entry."""
        with self.signing(entry) as (connection, signed):
            rows.put(connection, "history", asdict(signed))

    def entries(self, family: str) -> Sequence[HistoryEntry]:
        """Return the entries of a family, oldest first."""
        query = f"SELECT {_COLUMNS} FROM history WHERE family = ? ORDER BY id"
        with self._database.reading() as connection:
            return [HistoryEntry(*row) for row in connection.execute(query, (family,)).fetchall()]

    @contextmanager
    def signing(self, entry: HistoryEntry) -> Iterator[tuple[sqlite3.Connection, HistoryEntry]]:
        """Run the block in a transaction, with the entry as it will be recorded. Git is asked before it begins."""
        settings, at = self._settings, self._clock()
        signed = replace(entry, at=at, who=self.who, stack=settings.stack, revision=commit(settings.root))
        with self._database.writing() as connection:
            yield connection, signed
