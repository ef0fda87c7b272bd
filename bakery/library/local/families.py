"""What families point at, in the local library's database; every function is one step of an open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from bakery.errors import BakeryError
from bakery.library.base import ImageState, Proof
from bakery.library.local import rows


@dataclass(frozen=True)
class Event:
    """A line of a family's history: ``event`` is "promoted", "given back" or "lost" (the image's file was gone).

    ``image`` is what the family pointed at afterwards ("" for nothing), ``previous`` before; ``at`` as RFC 3339.
    """

    family: str
    image: str
    previous: str
    event: str
    at: str


def pointers(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Family, name and digest of every image that a family points at, by family."""
    return connection.execute(
        "SELECT families.family, images.name, images.digest FROM families"
        " JOIN images ON images.name = families.image ORDER BY families.family"
    ).fetchall()


def promote(connection: sqlite3.Connection, name: str, family: str, at: str) -> str:
    """Point the family at the image; returns the image before, or ""."""
    before = _pointed_at(connection, family)
    if before == name:
        return _replaced_by(connection, name, family)
    row = rows.select(connection, name)
    if row is None or row["state"] == ImageState.DELETED:
        raise BakeryError(f"there is no image {name} to promote into {family}", hint="bake it again: make up")
    other = family_of(connection, name)
    if other:
        raise BakeryError(f"{name} is the image of the family {other}, it can't be that of {family} too")
    if before:
        set_state(connection, before, ImageState.DEPRECATED, name, at)
    _point(connection, family, name, at)
    rows.log(connection, family, image=name, previous=before, event="promoted", at=at)
    return before


def unpromote(connection: sqlite3.Connection, name: str, family: str, there: Collection[str], at: str) -> str:
    """Give the family back when it points at the image; ``there`` are the digests whose files exist."""
    before = _pointed_at(connection, family)
    if before != name:
        row = rows.select(connection, before)
        return before if row is not None and row["digest"] in there else ""
    connection.execute("DELETE FROM families WHERE family = ?", (family,))
    connection.execute("UPDATE images SET family = '' WHERE name = ?", (name,))
    heir = _heir(connection, name, family, there)
    if heir:
        _point(connection, family, heir, at)
    rows.log(connection, family, image=heir, previous=name, event="given back", at=at)
    return heir


def deprecate(connection: sqlite3.Connection, name: str, replacement: str, at: str) -> bool:
    """Mark as DEPRECATED unless :func:`why_kept` names a reason; says whether it did."""
    if why_kept(connection, name):
        return False
    set_state(connection, name, ImageState.DEPRECATED, replacement, at)
    return True


def why_kept(connection: sqlite3.Connection, name: str) -> str:
    """Why an image does not become DEPRECATED, in words; "" when it does."""
    row = rows.select(connection, name)
    if row is None:
        return f"there is no image {name}"
    family = family_of(connection, name)
    if family:
        return f"the family {family} points at it"
    if row["state"] != ImageState.ACTIVE:
        return f"it is {row['state']} already"
    return ""


def history(connection: sqlite3.Connection, family: str) -> list[Event]:
    """What happened to a family, oldest first."""
    found = connection.execute("SELECT * FROM promotions WHERE family = ? ORDER BY id", (family,)).fetchall()
    return [Event(row["family"], row["image"], row["previous"], row["event"], row["at"]) for row in found]


def _pointed_at(connection: sqlite3.Connection, family: str) -> str:
    row = connection.execute("SELECT image FROM families WHERE family = ?", (family,)).fetchone()
    return str(row["image"]) if row else ""


def family_of(connection: sqlite3.Connection, name: str) -> str:
    """The family that points at an image, or ""."""
    row = connection.execute("SELECT family FROM families WHERE image = ?", (name,)).fetchone()
    return str(row["family"]) if row else ""


def _replaced_by(connection: sqlite3.Connection, name: str, family: str) -> str:
    """The image that was replaced when ``name`` was promoted last, so that a repeated call has the same answer."""
    row = connection.execute(
        "SELECT previous FROM promotions WHERE family = ? AND image = ? AND event = 'promoted' ORDER BY id DESC",
        (family, name),
    ).fetchone()
    return str(row["previous"]) if row else ""


def _heir(connection: sqlite3.Connection, name: str, family: str, there: Collection[str]) -> str:
    """The newest proven image of the family other than ``name`` whose file is there, or ""."""
    found = connection.execute(
        "SELECT name, digest FROM images WHERE (candidate_for = :family OR family = :family) AND name != :name"
        " AND proof = :passed AND state != :deleted AND name NOT IN (SELECT image FROM families)"
        " ORDER BY created DESC, seq DESC",
        {"family": family, "name": name, "passed": Proof.PASSED.value, "deleted": ImageState.DELETED.value},
    )
    return next((str(row["name"]) for row in found if row["digest"] in there), "")


def _point(connection: sqlite3.Connection, family: str, name: str, at: str) -> None:
    """Let the family point at the image, which thereby is ACTIVE again."""
    connection.execute(
        "INSERT INTO families (family, image) VALUES (?, ?) ON CONFLICT (family) DO UPDATE SET image = excluded.image",
        (family, name),
    )
    connection.execute("UPDATE images SET family = ? WHERE name = ?", (family, name))
    row = rows.select(connection, name)
    if row is not None and row["state"] != ImageState.ACTIVE:
        set_state(connection, name, ImageState.ACTIVE, "", at)


def set_state(connection: sqlite3.Connection, name: str, state: ImageState, replacement: str, at: str) -> None:
    """Move an image to a state, and note since when."""
    connection.execute(
        "UPDATE images SET state = ?, state_since = ?, replacement = ? WHERE name = ?",
        (state.value, at, replacement, name),
    )
