"""Families in the local library's database. Every function is one step of an open transaction."""

import sqlite3
from dataclasses import asdict, replace

from bakery.errors import BakeryError
from bakery.library.base import ImageState
from bakery.library.history import HistoryEntry
from bakery.library.local import rows


def pointers(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return family, name and digest of every image that a family points at, ordered by family."""
    return connection.execute(
        "SELECT families.family, images.name, images.digest FROM families"
        " JOIN images ON images.name = families.image ORDER BY families.family"
    ).fetchall()


def promote(connection: sqlite3.Connection, entry: HistoryEntry) -> str:
    """Point the family of the entry at its image, and record it; return the name of the previous image, or ""."""
    name, family, at = entry.image, entry.family, entry.at
    before = _pointed_at(connection, family)
    if before == name:
        return ""
    row = rows.image_row(connection, name)
    if row is None or row["state"] == ImageState.DELETED:
        raise BakeryError(f"there is no image {name} to promote into {family}", hint="bake it again: pulumi up")
    if other := family_of(connection, name):
        raise BakeryError(f"{name} is the image of the family {other}, it can't be that of {family} too")
    if before:
        set_state(connection, before, ImageState.DEPRECATED, name, at)
    if row["state"] != ImageState.ACTIVE:
        set_state(connection, name, ImageState.ACTIVE, "", at)
    connection.execute("INSERT OR REPLACE INTO families (family, image) VALUES (?, ?)", (family, name))
    connection.execute("UPDATE images SET family = ? WHERE name = ?", (family, name))
    rows.put(connection, "history", asdict(replace(entry, previous=before)))
    return before


def unpromote(connection: sqlite3.Connection, entry: HistoryEntry, *, force: bool) -> bool:
    """Let the family of the entry point at nothing, if it points at its previous image, and record it.

    It is left alone if a stack wants the family, unless forced.
    """
    name, family = entry.previous, entry.family
    if _pointed_at(connection, family) != name or (is_wanted(connection, family) and not force):
        return False
    connection.execute("DELETE FROM families WHERE family = ?", (family,))
    connection.execute("UPDATE images SET family = '' WHERE name = ?", (name,))
    rows.put(connection, "history", asdict(entry))
    return True


def is_wanted(connection: sqlite3.Connection, family: str) -> bool:
    """Return whether a stack wants the family."""
    return connection.execute("SELECT 1 FROM wants WHERE family = ?", (family,)).fetchone() is not None


def deprecate(connection: sqlite3.Connection, name: str, replacement: str, at: str) -> bool:
    """Mark an ACTIVE image that no family points at as DEPRECATED; return whether it was marked."""
    row = rows.image_row(connection, name)
    if row is None or row["state"] != ImageState.ACTIVE or family_of(connection, name):
        return False
    set_state(connection, name, ImageState.DEPRECATED, replacement, at)
    return True


def _pointed_at(connection: sqlite3.Connection, family: str) -> str:
    row = connection.execute("SELECT image FROM families WHERE family = ?", (family,)).fetchone()
    return str(row["image"]) if row else ""


def family_of(connection: sqlite3.Connection, name: str) -> str:
    """Return the family that points at an image, or ""."""
    row = connection.execute("SELECT family FROM families WHERE image = ?", (name,)).fetchone()
    return str(row["family"]) if row else ""


def set_state(connection: sqlite3.Connection, name: str, state: ImageState, replacement: str, at: str) -> None:
    """Move an image to a state and record the time."""
    connection.execute(
        "UPDATE images SET state = ?, state_since = ?, replacement = ? WHERE name = ?",
        (state.value, at, replacement, name),
    )
