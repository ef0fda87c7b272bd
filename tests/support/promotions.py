"""The history of a family in a local library."""

from __future__ import annotations

import sqlite3

from bakery.library.local.library import LocalLibrary


def history(library: LocalLibrary, family: str) -> list[sqlite3.Row]:
    """Return the events of a family, oldest first: their ``event``, ``image``, ``previous`` and time ``at``."""
    with library.database.reading() as connection:
        return connection.execute("SELECT * FROM history WHERE family = ? ORDER BY id", (family,)).fetchall()
