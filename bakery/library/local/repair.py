"""Repair of the local library: clear what killed processes left, and adopt images that they did not record."""

from dataclasses import dataclass

from bakery.library.base import ImageState
from bakery.library.local import rows
from bakery.library.local.library import LocalLibrary


@dataclass(frozen=True)
class Repaired:
    """Messages: what was done, and which unknown files were left alone because they may belong to the user."""

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def repair(library: LocalLibrary) -> Repaired:
    """Make the folder and the records agree. Safe while other processes publish. Raises Uncertain."""
    done, left = [], []
    for path in library.files.abandoned():
        path.unlink(missing_ok=True)
        done.append(f"removed {path.name} of a process that no longer runs")
    _, sidecars = library.files.listing()
    before = _states(library)
    for name in sorted(sidecars):
        if library.files.read_sidecar(name) is None:
            left.append(f"{name}.json is not a sidecar that this version can read")
        else:
            done += _repair_sidecar(library, name, before.get(name, ""))
    digests, _ = library.files.listing()
    known = _digests(library)
    left += [f"no record describes {digest}.qcow2" for digest in sorted(digests - known)]
    for digest in sorted(digests & known):
        done += _finish_deletion(library, digest)
    return Repaired(tuple(done), tuple(left))


def _states(library: LocalLibrary) -> dict[str, str]:
    with library.database.reading() as connection:
        return {row["name"]: row["state"] for row in connection.execute("SELECT name, state FROM images")}


def _digests(library: LocalLibrary) -> set[str]:
    with library.database.reading() as connection:
        return {row["digest"] for row in connection.execute("SELECT digest FROM images")}


def _repair_sidecar(library: LocalLibrary, name: str, state: str) -> list[str]:
    """Adopt the image of a sidecar, or remove the sidecar if its image does not exist."""
    sidecar = library.files.read_sidecar(name)
    if sidecar is None:  # another process has removed it meanwhile
        return []
    if state in ("", ImageState.DELETED) and library.find(name) is not None:
        return [f"adopted {name}, which was published but not recorded"]
    with library.leases.exclusive(sidecar.record.digest) as free:
        if free and library.files.size(sidecar.record.digest) is None:
            library.files.sidecar(name).unlink(missing_ok=True)
            return [f"removed {name}.json, whose image does not exist"]
    return []


def _finish_deletion(library: LocalLibrary, digest: str) -> list[str]:
    """Remove the file of a DELETED image."""
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
