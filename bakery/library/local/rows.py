"""Image records as rows of the local library's table ``images``, and back."""

from __future__ import annotations

import json
import sqlite3

from bakery.library.base import ImageRecord, ImageState, Proof


def record(row: sqlite3.Row, location: str) -> ImageRecord:
    """The record of a row; ``location`` is its file."""
    return ImageRecord(
        name=row["name"],
        digest=row["digest"],
        package=row["package"],
        variant=row["variant"],
        candidate_for=row["candidate_for"],
        created=row["created"],
        family=row["family"],
        state=ImageState(row["state"]),
        replacement=row["replacement"],
        parent=row["parent"],
        proof=Proof(row["proof"]),
        size=row["size"],
        bake_seconds=row["bake_seconds"],
        location=location,
        labels=json.loads(row["labels"]),
        inputs=json.loads(row["inputs"]),
    )


def select(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """The row of an image, whatever its state."""
    row: sqlite3.Row | None = connection.execute("SELECT * FROM images WHERE name = ?", (name,)).fetchone()
    return row


def shared(connection: sqlite3.Connection, name: str, digest: str) -> bool:
    """Whether another image that is not DELETED has the same file."""
    query = "SELECT 1 FROM images WHERE digest = ? AND name != ? AND state != 'DELETED'"
    return connection.execute(query, (digest, name)).fetchone() is not None


def put(connection: sqlite3.Connection, image: ImageRecord, publication: str, at: str) -> None:
    """Insert a candidate; a row of the same name (its file is gone) starts anew, as new as any other candidate.

    A family that still points there lets go: nothing is promoted before it was proven, and the new file was not.
    """
    for family in connection.execute("SELECT family FROM families WHERE image = ?", (image.name,)).fetchall():
        log(connection, family["family"], image="", previous=image.name, event="lost", at=at)
    connection.execute("DELETE FROM families WHERE image = ?", (image.name,))
    values = {
        "name": image.name,
        "digest": image.digest,
        "package": image.package,
        "variant": image.variant,
        "candidate_for": image.candidate_for,
        "created": image.created,
        "family": "",
        "state": ImageState.ACTIVE.value,
        "state_since": at,
        "replacement": "",
        "parent": image.parent,
        "proof": Proof.UNTESTED.value,
        "size": image.size,
        "bake_seconds": image.bake_seconds,
        "labels": json.dumps(dict(image.labels), sort_keys=True),
        "inputs": json.dumps(dict(image.inputs), sort_keys=True),
        "publication": publication,
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name != "name")
    connection.execute(
        f"INSERT INTO images ({names}) VALUES ({marks}) ON CONFLICT (name) DO UPDATE SET {updates}", values
    )


def log(connection: sqlite3.Connection, family: str, *, image: str, previous: str, event: str, at: str) -> None:
    """Add a line to the history of a family."""
    connection.execute(
        "INSERT INTO promotions (family, image, previous, event, at) VALUES (?, ?, ?, ?, ?)",
        (family, image, previous, event, at),
    )
