"""Clears what killed processes left in the local library, and adopts what they finished without recording it."""

from __future__ import annotations

from collections.abc import Sequence

from bakery.library import rows
from bakery.library.base import ImageState
from bakery.library.local import LocalLibrary


def repair(library: LocalLibrary) -> Sequence[str]:
    """Put the folder and the records in order; says in words what it did. Safe while others publish.

    Files that nothing explains are named and left: they may be somebody's. Raises Uncertain.
    """
    said = []
    for path in library.files.scratch():
        path.unlink(missing_ok=True)
        said.append(f"took away {path.name}, left by a process that is gone")
    _, sidecars = library.files.listing()
    before = _states(library)
    for name in sorted(sidecars):
        said += _sidecar(library, name, before.get(name, ""))
    digests, _ = library.files.listing()
    for digest in sorted(digests):
        said += _file(library, digest)
    return said


def _states(library: LocalLibrary) -> dict[str, str]:
    with library.database.reading() as connection:
        return {row["name"]: row["state"] for row in connection.execute("SELECT name, state FROM images")}


def _sidecar(library: LocalLibrary, name: str, state: str) -> list[str]:
    """Adopt the image of a sidecar, or take the sidecar away when no file came after it."""
    sidecar = library.files.read(name)
    if sidecar is None:
        return [f"left {name}.json: not a sidecar this version can read"]
    if state in ("", ImageState.DELETED) and library.find(name) is not None:
        return [f"adopted {name}, which was published and not recorded"]
    with library.leases.alone(sidecar.record.digest) as free:
        if free and library.files.size(sidecar.record.digest) is None:
            library.files.sidecar(name).unlink(missing_ok=True)
            return [f"took away {name}.json, whose image is not there"]
    return []


def _file(library: LocalLibrary, digest: str) -> list[str]:
    """Finish the deletion of a DELETED image's file."""
    with library.database.reading() as connection:
        found = connection.execute("SELECT name, state FROM images WHERE digest = ?", (digest,)).fetchall()
    if not found:
        return [f"left {digest}.qcow2: nothing says what it is"]
    if any(row["state"] != ImageState.DELETED for row in found):
        return []
    with library.leases.alone(digest) as free:
        if not free or _wanted(library, digest):
            return []
        for row in found:
            library.files.remove(row["name"], digest, shared=False)
    return [f"took away {digest}.qcow2 of the deleted {found[0]['name']}"]


def _wanted(library: LocalLibrary, digest: str) -> bool:
    """Whether an image came to use the file meanwhile."""
    with library.database.reading() as connection:
        return rows.shared(connection, "", digest)
