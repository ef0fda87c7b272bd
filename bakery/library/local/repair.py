"""Clears what killed processes left in the local library, and adopts what they finished without recording it."""

from __future__ import annotations

from dataclasses import dataclass

from bakery.library.base import ImageState
from bakery.library.local import rows
from bakery.library.local.library import LocalLibrary


@dataclass(frozen=True)
class Repaired:
    """In words: what was done, and the files that nothing explains; they may be somebody's and are left."""

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def repair(library: LocalLibrary) -> Repaired:
    """Put the folder and the records in order. Safe while others publish. Raises Uncertain."""
    done, left = [], []
    for path in library.files.scratch():
        path.unlink(missing_ok=True)
        done.append(f"took away {path.name}, left by a process that is gone")
    _, sidecars = library.files.listing()
    before = _states(library)
    for name in sorted(sidecars):
        if library.files.read(name) is None:
            left.append(f"{name}.json is no sidecar that this version can read")
        else:
            done += _sidecar(library, name, before.get(name, ""))
    digests, _ = library.files.listing()
    known = _digests(library)
    left += [f"nothing says what {digest}.qcow2 is" for digest in sorted(digests - known)]
    for digest in sorted(digests & known):
        done += _file(library, digest)
    return Repaired(tuple(done), tuple(left))


def _states(library: LocalLibrary) -> dict[str, str]:
    with library.database.reading() as connection:
        return {row["name"]: row["state"] for row in connection.execute("SELECT name, state FROM images")}


def _digests(library: LocalLibrary) -> set[str]:
    with library.database.reading() as connection:
        return {row["digest"] for row in connection.execute("SELECT digest FROM images")}


def _sidecar(library: LocalLibrary, name: str, state: str) -> list[str]:
    """Adopt the image of a sidecar, or take the sidecar away when no file came after it."""
    sidecar = library.files.read(name)
    if sidecar is None:  # somebody took it away meanwhile
        return []
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
