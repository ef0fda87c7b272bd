"""Conversion between image records and rows of the local library's table ``images``."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.history import HistoryEntry, HistoryEvent

OUT_OF_USE = (ImageState.DEPRECATED, ImageState.OBSOLETE)
# All that a record needs but the manifest of its digest, which is long.
WITHOUT_INPUTS = (
    "name, digest, package, variant, candidate_for, created, family, state, state_since, replacement, parent, proof,"
    " size, bake_seconds, labels, '{}' AS inputs"
)


def image_record(row: sqlite3.Row, location: str) -> ImageRecord:
    """Return the record of a row; ``location`` is the path of its file."""
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


def image_row(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """Return the row of an image, whatever its state."""
    row: sqlite3.Row | None = connection.execute("SELECT * FROM images WHERE name = ?", (name,)).fetchone()
    return row


def file_is_shared(connection: sqlite3.Connection, name: str, digest: str) -> bool:
    """Return whether another image that is not DELETED has the same file."""
    query = "SELECT 1 FROM images WHERE digest = ? AND name != ? AND state != 'DELETED'"
    return connection.execute(query, (digest, name)).fetchone() is not None


def forget(connection: sqlite3.Connection, digest: str, at: str) -> None:
    """Mark all images of a digest whose file is gone as DELETED: a new file was not tested under their names."""
    query = "SELECT name FROM images WHERE digest = ? AND state != 'DELETED'"
    for row in connection.execute(query, (digest,)).fetchall():
        _lose(connection, row["name"], at)
        connection.execute(
            "UPDATE images SET state = 'DELETED', family = '', state_since = ? WHERE name = ?", (at, row["name"])
        )


def _lose(connection: sqlite3.Connection, name: str, at: str) -> None:
    """Take the image from the family that points at it."""
    for row in connection.execute("SELECT family FROM families WHERE image = ?", (name,)).fetchall():
        entry = HistoryEntry(row["family"], HistoryEvent.LOST, "", previous=name, at=at)
        put(connection, "history", asdict(entry))
    connection.execute("DELETE FROM families WHERE image = ?", (name,))


def insert_image(connection: sqlite3.Connection, image: ImageRecord, publication: str, at: str) -> None:
    """Insert a candidate; replace a row of the same name, whose file no longer exists.

    A family that points at that row loses its image, because the new file was not tested yet.
    """
    _lose(connection, image.name, at)
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


def publish(connection: sqlite3.Connection, image: ImageRecord, publication: str, at: str) -> sqlite3.Row | None:
    """Insert a candidate and return its row, as another process may have done; None if that has deleted it since."""
    row = image_row(connection, image.name)
    if row is not None and row["publication"] == publication:
        # If it is DELETED, another process is about to remove its file.
        return None if row["state"] == ImageState.DELETED else row
    insert_image(connection, image, publication, at)
    return image_row(connection, image.name)


def relabel(connection: sqlite3.Connection, name: str, labels: Mapping[str, str]) -> None:
    """Replace all labels of an image."""
    connection.execute("UPDATE images SET labels = ? WHERE name = ?", (json.dumps(labels, sort_keys=True), name))


def put(connection: sqlite3.Connection, table: str, row: Mapping[str, str]) -> None:
    """Insert a row, or replace the one with its key."""
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})", row)


def record_proof(
    connection: sqlite3.Connection,
    names: Iterable[str],
    proof: Proof,
    tests_digest: str,
    at: str,
    *,
    labels: Mapping[str, str],
) -> None:
    """Record a verdict of images, the last one of which counts, and set labels."""
    more = json.dumps(dict(labels))
    for name in names:
        values = (proof.value, more, name)
        connection.execute("UPDATE images SET proof = ?, labels = json_patch(labels, ?) WHERE name = ?", values)
        row = (name, tests_digest, proof.value, at)
        connection.execute("INSERT INTO proofs (image, tests_digest, proof, at) VALUES (?, ?, ?, ?)", row)
