"""Repair of the local library: clear what killed processes left, and adopt images that they did not record."""

import sqlite3
from pathlib import Path

from bakery.host import boot_files
from bakery.library.base import ImageState
from bakery.library.local.files import sha256
from bakery.library.local.library import LocalLibrary
from bakery.progress.activity import Activity

QCOW2 = b"QFI\xfb"  # the first bytes of the format; those of the fake oven are JSON


def repair(library: LocalLibrary, *, dry_run: bool = False) -> list[str]:
    """Make the folder and the records agree; return what was done. Unknown files may belong to the user and stay.

    With ``dry_run``, return what would be done, and nothing about damaged files; only images that were not recorded are
    adopted, as every reader does. Safe while other processes publish. Raises Uncertain.
    """
    done = []
    for path in library.files.abandoned():
        if not dry_run:
            path.unlink(missing_ok=True)
        done.append(f"removed {path.name} of a process that no longer runs")
    sizes, sidecars = library.files.listing()
    before = {row["name"]: row for row in _images(library)}
    for name in sorted(sidecars):
        row = before.get(name)
        if row is None or row["state"] == ImageState.DELETED or row["digest"] not in sizes:
            done += _repair_sidecar(library, name, row["state"] if row else "", dry_run=dry_run)
    sizes, _ = library.files.listing()
    used: dict[str, bool] = {}
    for row in _images(library):
        size = sizes.get(row["digest"])
        if size is not None:
            used[row["digest"]] = used.get(row["digest"], False) or _needs(row, size)
    for digest in sorted(digest for digest, is_used in used.items() if not is_used):
        done += _finish_deletion(library, digest, sizes[digest], dry_run=dry_run)
    return done if dry_run else [*done, *damaged(library)]


def damaged(library: LocalLibrary, *, contents: bool = False) -> list[str]:
    """Return a line for each image whose file is damaged; with ``contents`` all files are read, else their sizes.

    Raises Uncertain and MissingTool.
    """
    sizes, _ = library.files.listing()
    lines = []
    for row in _images(library):
        name, size = row["name"], sizes.get(row["digest"])
        if size is None or row["state"] == ImageState.DELETED or (size == row["size"] and not contents):
            continue
        file = library.files.image(row["digest"])
        if size != row["size"]:
            lines.append(
                f"{file} has {size} bytes, {name} was published with {row['size']}; to bake it again: rm {file}"
            )
        elif not _is_intact(library, name, file):
            lines.append(f"the content of {file} has changed since {name} was published; to bake it again: rm {file}")
    return lines


def _is_intact(library: LocalLibrary, name: str, file: Path) -> bool:
    """Return whether a file has the published content; without a checksum, whether QEMU finds no error in it."""
    sidecar = library.files.read_sidecar(name)
    if sidecar and sidecar.sha256:
        return sha256(file) == sidecar.sha256
    with file.open("rb") as content:
        return content.read(4) != QCOW2 or boot_files.is_sound(file, Activity())


def _images(library: LocalLibrary) -> list[sqlite3.Row]:
    with library.database.reading() as connection:
        return connection.execute("SELECT name, digest, state, size FROM images ORDER BY name").fetchall()


def _repair_sidecar(library: LocalLibrary, name: str, state: str, *, dry_run: bool) -> list[str]:
    """Adopt the image of a sidecar, or remove the sidecar if its image does not exist."""
    sidecar = library.files.read_sidecar(name)
    if sidecar is None:  # of another version, or another process has removed it meanwhile
        return []
    if state in ("", ImageState.DELETED) and library.find(name) is not None:
        return [f"adopted {name}, which was published but not recorded"]
    with library.leases.exclusive(sidecar.record.digest) as free:
        if free and library.files.size(sidecar.record.digest) is None:
            if not dry_run:
                library.files.sidecar(name).unlink(missing_ok=True)
            return [f"removed {name}.json, whose image does not exist"]
    return []


def _finish_deletion(library: LocalLibrary, digest: str, size: int, *, dry_run: bool) -> list[str]:
    """Remove the file of a deleted image, and a damaged one whose image is not ACTIVE, which cannot be booted."""
    with library.leases.exclusive(digest) as free:
        images = [row for row in _images(library) if row["digest"] == digest]
        if not free or any(_needs(row, size) for row in images):
            return []
        names = [row["name"] for row in images]
        for name in names if not dry_run else ():
            library.files.remove(name, digest, shared=False)
    return [f"removed {digest}.qcow2 of {names[0]}, which was deleted or is damaged and not wanted"]


def _needs(row: sqlite3.Row, size: int) -> bool:
    """Return whether an image needs its file, which has that size."""
    return bool(row["state"] == ImageState.ACTIVE or (row["state"] != ImageState.DELETED and row["size"] == size))
