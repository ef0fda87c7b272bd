"""Repair of the local library: clear what killed processes left, and adopt images that they did not record."""

import sqlite3

from bakery.library.base import ImageState
from bakery.library.local import rows
from bakery.library.local.library import LocalLibrary


def repair(library: LocalLibrary) -> list[str]:
    """Make the folder and the records agree; return what was done. Unknown files may belong to the user and stay.

    Safe while other processes publish. Raises Uncertain.
    """
    done = []
    for path in library.files.abandoned():
        path.unlink(missing_ok=True)
        done.append(f"removed {path.name} of a process that no longer runs")
    _, sidecars = library.files.listing()
    before = {row["name"]: row["state"] for row in _images(library)}
    for name in sorted(sidecars):
        done += _repair_sidecar(library, name, before.get(name, ""))
    digests, _ = library.files.listing()
    for digest in sorted(digests & {row["digest"] for row in _images(library)}):
        done += _finish_deletion(library, digest)
    return done


def _images(library: LocalLibrary) -> list[sqlite3.Row]:
    with library.database.reading() as connection:
        return connection.execute("SELECT name, digest, state FROM images").fetchall()


def _repair_sidecar(library: LocalLibrary, name: str, state: str) -> list[str]:
    """Adopt the image of a sidecar, or remove the sidecar if its image does not exist."""
    sidecar = library.files.read_sidecar(name)
    if sidecar is None:  # of another version, or another process has removed it meanwhile
        return []
    if state in ("", ImageState.DELETED) and library.find(name) is not None:
        return [f"adopted {name}, which was published but not recorded"]
    with library.leases.exclusive(sidecar.record.digest) as free:
        if free and library.files.size(sidecar.record.digest) is None:
            library.files.sidecar(name).unlink(missing_ok=True)
            return [f"removed {name}.json, whose image does not exist"]
    return []


def _finish_deletion(library: LocalLibrary, digest: str) -> list[str]:
    with library.database.reading() as connection:
        images = connection.execute("SELECT name, state FROM images WHERE digest = ?", (digest,)).fetchall()
    if any(row["state"] != ImageState.DELETED for row in images):
        return []
    with library.leases.exclusive(digest) as free:
        if not free or _is_used(library, digest):
            return []
        for row in images:
            library.files.remove(row["name"], digest, shared=False)
    return [f"removed {digest}.qcow2 of the deleted image {images[0]['name']}"]


def _is_used(library: LocalLibrary, digest: str) -> bool:
    """Return whether an image uses the file by now."""
    with library.database.reading() as connection:
        return rows.file_is_shared(connection, "", digest)
