"""The local library: qcow2 files by digest, records in SQLite. Safe under many threads and many processes.

Below ``<state>/library``: ``images/`` (see :mod:`bakery.library.local.files`), ``library.sqlite`` and ``leases/``.
The file decides whether an image exists: a row whose file was deleted is gone, a file whose row was lost is
adopted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bakery.errors import BakeryError, Uncertain
from bakery.host.clock import utc_now
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.local import families, rows, runs
from bakery.library.local.database import Database
from bakery.library.local.families import Event
from bakery.library.local.files import ImageFiles, Sidecar
from bakery.library.local.leases import Leases
from bakery.paths import StatePaths
from bakery.results.model import RunResult
from bakery.settings import Settings

DATABASE = "library.sqlite"


class LocalLibrary:
    """A :class:`bakery.library.base.Library` on this machine. ``clock`` gives the time as RFC 3339 in UTC."""

    def __init__(self, settings: Settings, clock: Callable[[], str] = utc_now) -> None:
        folder = StatePaths(settings.state).library
        self.files = ImageFiles(folder / "images")
        self.leases = Leases(folder / "leases")
        self.database = Database(folder / DATABASE)
        self._clock = clock

    # -- what the protocol asks for

    def find(self, name: str) -> ImageRecord | None:
        """The image; None when it is certain that there is none: never published, its file gone, or DELETED.

        A finished image whose row was never written is adopted. Raises Uncertain when records or files can't be
        read, and when the file has not the size it was published with.
        """
        with self.database.reading() as connection:
            row = rows.select(connection, name)
        if row is None or row["state"] == ImageState.DELETED:
            return self._adopt(name)
        size = self.files.size(row["digest"])
        if size is None:
            return None
        image = self._record(row)
        if size != image.size:
            raise Uncertain(
                f"{image.location} has {size} bytes, it was published with {image.size}",
                hint=f"the file is damaged; to bake it again: rm {image.location}",
            )
        return image

    def images(self) -> Sequence[ImageRecord]:
        """All images, oldest first; without DELETED ones and those whose file is gone."""
        digests, names = self.files.listing()
        with self.database.reading() as connection:
            known = connection.execute("SELECT * FROM images ORDER BY created, seq").fetchall()
        live = [row for row in known if row["state"] != ImageState.DELETED]
        orphans = names - {row["name"] for row in live}
        adopted = [image for image in map(self._adopt, sorted(orphans)) if image is not None]
        found = [self._record(row) for row in live if row["digest"] in digests]
        return sorted(found + adopted, key=lambda image: image.created) if adopted else found

    def families(self) -> Mapping[str, str]:
        """Family to image name; a family whose image's file is gone is left out."""
        digests, _ = self.files.listing()
        with self.database.reading() as connection:
            pointers = families.pointers(connection)
        return {row["family"]: row["name"] for row in pointers if row["digest"] in digests}

    def promote(self, name: str, family: str) -> str:
        """Point the family at the image and deprecate the one before; see :class:`bakery.library.base.Library`.

        Again for the image it points at: changes nothing, returns the same. Raises BakeryError when there is no such
        image, or when another family points at it.
        """
        if self.find(name) is None:
            raise BakeryError(f"there is no image {name} to promote into {family}", hint="bake it again: make up")
        with self.database.writing() as connection:
            return families.promote(connection, name, family, self._clock())

    def unpromote(self, name: str, family: str) -> str:
        """Give the family back to the newest proven image that is left, unless it moved on already.

        Returns the image the family points at now, or "".
        """
        digests, _ = self.files.listing()
        with self.database.writing() as connection:
            return families.unpromote(connection, name, family, digests, self._clock())

    def deprecate(self, name: str, replacement: str = "") -> bool:
        """Mark as DEPRECATED; False when :meth:`why_kept` names a reason, and when there is no such image."""
        self.find(name)  # adopts what was published and not recorded, so that it can be deprecated
        with self.database.writing() as connection:
            return families.deprecate(connection, name, replacement, self._clock())

    def share(self, name: str, members: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Nothing: whoever may read the folder boots from its images."""

    def why_kept(self, name: str) -> str:
        """Why :meth:`deprecate` would leave the image as it is, in words; "" when it would not."""
        with self.database.reading() as connection:
            return families.why_kept(connection, name)

    def record_test(self, name: str, proof: Proof, tests_digest: str) -> None:
        """Record what a Fluid-Run said; the last word counts. Raises BakeryError when there is no such image."""
        if self.find(name) is None:
            raise BakeryError(f"there is no image {name} that could be {proof}")
        with self.database.writing() as connection:
            connection.execute("UPDATE images SET proof = ? WHERE name = ?", (proof.value, name))
            connection.execute(
                "INSERT INTO proofs (image, tests_digest, proof, at) VALUES (?, ?, ?, ?)",
                (name, tests_digest, proof.value, self._clock()),
            )

    # -- what ovens and Fluid-Run ask for

    def publish(self, record: ImageRecord, qcow2: Path) -> ImageRecord:
        """Move a baked file into the library as a candidate: whole and on disk, or not at all.

        An image of that name that is there already is kept as it is and returned; the given file goes. Raises
        InfrastructureFailed (disk full: nothing new is there, the given file still is) and Uncertain.
        """
        with self.leases.shared(record.digest):
            there = self.find(record.name)
            if there is not None:
                qcow2.unlink(missing_ok=True)
                return there
            made = self._insert(self.files.publish(record, qcow2))
        assert made is not None  # the lease keeps a deletion away
        return made

    def image_file(self, name: str) -> Path:
        """The image's file; raises BakeryError when there is no such image."""
        image = self.find(name)
        if image is None:
            raise BakeryError(f"there is no image {name} in {self.files.folder}", hint="see: bakery library")
        return Path(image.location)

    @contextmanager
    def lease(self, name: str) -> Iterator[Path]:
        """The image's file, which nobody deletes while the block (or its process) lives.

        Whoever boots from an image or bakes on top of it holds one. Raises BakeryError when there is no such image.
        """
        digest = self.image_file(name).stem
        with self.leases.shared(digest):
            yield self.image_file(name)  # again: it may have been deleted while we waited

    def bake_times(self) -> Mapping[str, float]:
        """Family to the seconds of its last bake, also of images that are gone since."""
        with self.database.reading() as connection:
            images = connection.execute(
                "SELECT candidate_for, bake_seconds FROM images WHERE bake_seconds > 0 ORDER BY seq"
            ).fetchall()
        return {row["candidate_for"]: row["bake_seconds"] for row in images}

    def record_run(self, result: RunResult) -> None:
        """Keep a Fluid-Run, whatever its verdict; the same run again takes the place of the first."""
        with self.database.writing() as connection:
            runs.put(connection, result)

    def runs(self, image: str | None = None, *, outputs: bool = True) -> Sequence[RunResult]:
        """Runs of an image (None: all), oldest first; ``outputs=False`` leaves the jobs' stdout and stderr out."""
        with self.database.reading() as connection:
            return runs.select(connection, image, outputs)

    def proofs(self, images: Iterable[ImageRecord]) -> Mapping[str, str]:
        """Map image names to the digest of the tests of the last recorded verdict."""
        names = {image.name for image in images}
        with self.database.reading() as connection:
            verdicts = connection.execute("SELECT image, tests_digest FROM proofs ORDER BY id").fetchall()
        return {row["image"]: row["tests_digest"] for row in verdicts if row["image"] in names}

    def history(self, family: str) -> Sequence[Event]:
        """Every promotion of a family and every time it was given back, oldest first."""
        with self.database.reading() as connection:
            return families.history(connection, family)

    def deprecated_since(self) -> Mapping[str, str]:
        """Image name to when it became DEPRECATED (RFC 3339); what is OBSOLETE keeps the time of its deprecation."""
        with self.database.reading() as connection:
            found = connection.execute(
                "SELECT name, state_since FROM images WHERE state IN ('DEPRECATED', 'OBSOLETE')"
            ).fetchall()
        return {row["name"]: row["state_since"] for row in found}

    def now(self) -> str:
        """The library's time, RFC 3339 in UTC."""
        return self._clock()

    def in_use(self) -> Collection[str]:
        """The names of the images that somebody holds a lease on."""
        return {image.name for image in self.images() if self.leases.taken(image.digest)}

    def set_state(self, image: ImageRecord, to: ImageState) -> int | None:
        """Move one image; None when somebody took hold of it or moved it, see :class:`bakery.library.base.Library`."""
        name, digest = image.name, image.digest
        with self.leases.alone(digest) as free:
            if not free:
                return None
            with self.database.writing() as connection:
                row = rows.select(connection, name)
                if row is None or row["state"] != image.state or families.family_of(connection, name):
                    return None
                families.set_state(connection, name, to, image.replacement, row["state_since"])
                shared = rows.shared(connection, name, digest)
            return self.files.remove(name, digest, shared) if to is ImageState.DELETED else 0

    def close(self) -> None:
        """Close this thread's connection to the database."""
        self.database.close()

    # -- inside

    def _record(self, row: sqlite3.Row) -> ImageRecord:
        return rows.record(row, str(self.files.image(row["digest"])))

    def _adopt(self, name: str) -> ImageRecord | None:
        """The image whose sidecar and whole file are there while its row is not."""
        sidecar = self.files.read(name)
        if sidecar is None or self.files.size(sidecar.record.digest) != sidecar.record.size:
            return None
        return self._insert(sidecar)

    def _insert(self, sidecar: Sidecar) -> ImageRecord | None:
        at = self._clock()
        with self.database.writing() as connection:
            row = rows.select(connection, sidecar.record.name)
            if row is not None and row["publication"] == sidecar.publication:
                # Recorded meanwhile by another process, or deleted and its file about to go.
                return None if row["state"] == ImageState.DELETED else self._record(row)
            rows.put(connection, sidecar.record, sidecar.publication, at)
            row = rows.select(connection, sidecar.record.name)
        assert row is not None
        return self._record(row)
