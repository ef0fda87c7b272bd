"""The local library: qcow2 files by digest, records in SQLite. Safe among threads and processes.

The folder ``<state>/library`` holds ``images/`` (see :mod:`bakery.library.local.files`), ``library.sqlite`` and
``leases/``. The file decides whether an image exists: a row without a file is ignored, a file without a row is adopted.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from bakery.errors import BakeryError, Uncertain
from bakery.host.clock import utc_now
from bakery.library.base import CopyProject, ImageRecord, ImageState, Listing, Proof, Revocation, Want
from bakery.library.derived import derived
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.local import families, rows, runs
from bakery.library.local.database import Database, keep_reserve
from bakery.library.local.files import ImageFiles, Sidecar
from bakery.library.local.history import LocalHistory
from bakery.library.local.leases import Leases
from bakery.paths import StatePaths
from bakery.results.model import RunResult
from bakery.settings import Settings

DATABASE = "library.sqlite"


class LocalLibrary:
    """A library on this machine. ``clock`` returns the time as RFC 3339 in UTC."""

    def __init__(self, settings: Settings, clock: Callable[[], str] = utc_now) -> None:
        folder = StatePaths(settings.state).library
        self.files = ImageFiles(folder / "images")
        self.leases = Leases(folder / "leases")
        self.database = Database(folder / DATABASE)
        self.history = LocalHistory(self.database, settings, clock)
        self._reserve = StatePaths(settings.state).reserve
        self._clock = clock

    def now(self) -> str:
        """Return the time of the clock."""
        return self._clock()

    def manifest(self, name: str) -> Mapping[str, str]:
        """Return the manifest of an image's digest."""
        return image.inputs if (image := self.find(name)) else {}

    def find(self, name: str) -> ImageRecord | None:
        """Return the image; None if it was never published, its file does not exist, or it is DELETED.

        An image that was published but not recorded is adopted. Raises Uncertain if records or files can't be read,
        or if the size of the file is not the size that was published.
        """
        with self.database.reading() as connection:
            row = rows.image_row(connection, name)
        if row is None or row["state"] == ImageState.DELETED:
            return self._adopt(name)
        if (size := self.files.size(row["digest"])) is None:
            return None
        image = self._record(row)
        if size != image.size:
            hint = f"the file is damaged; to bake it again: rm {image.location}"
            raise Uncertain(f"{image.location} has {size} bytes, it was published with {image.size}", hint=hint)
        return image

    def images(self) -> Sequence[ImageRecord]:
        """Return all images, oldest first, without DELETED ones and those without a file."""
        return self._images("*")[0]

    def listing(self) -> Listing:
        """Look at the folder once; the images come without their manifests, which take most of the time."""
        images, found = self._images(rows.WITHOUT_INPUTS)
        deprecated = {row["name"]: row["state_since"] for row in found if row["state"] in rows.OUT_OF_USE}
        return Listing(tuple(images), self._families({image.digest for image in images}), deprecated)

    def _images(self, columns: str) -> tuple[list[ImageRecord], list[sqlite3.Row]]:
        """Return all images that exist, adopted ones with them, and the rows of those that are not DELETED."""
        sizes, names = self.files.listing()
        live = self._select(f"SELECT {columns} FROM images WHERE state != 'DELETED' ORDER BY created, seq")
        orphans = names - {row["name"] for row in live}
        adopted = [image for image in map(self._adopt, sorted(orphans)) if image is not None]
        recorded = [self._record(row) for row in live if row["digest"] in sizes]
        return sorted(recorded + adopted, key=lambda image: image.created), live

    def sharing(self, digest: str) -> Sequence[ImageRecord]:
        """Return the images that share the file of a digest, oldest first, not those of a former file."""
        query = "SELECT * FROM images WHERE digest = ? AND size = ? AND state != 'DELETED' ORDER BY created, seq"
        return [self._record(row) for row in self._select(query, digest, self.files.size(digest))]

    def families(self) -> Mapping[str, str]:
        """Map families to image names; leave out families whose image has no file."""
        return self._families(self.files.listing()[0])

    def _families(self, digests: Collection[str]) -> dict[str, str]:
        with self.database.reading() as connection:
            return {row["family"]: row["name"] for row in families.pointers(connection) if row["digest"] in digests}

    def promote(self, name: str, family: str, want: Want | None = None, why: str = "") -> str:
        """Point the family at the image and deprecate the previous image; return its name, or "".

        A repeated call changes nothing. Raises BakeryError if there is no such image or another family points at it.
        """
        if self.find(name) is None:
            raise BakeryError(f"there is no image {name} to promote into {family}", hint="bake it again: pulumi up")
        with self.history.signing(HistoryEntry(family, HistoryEvent.PROMOTED, name, why=why)) as (connection, entry):
            if want:
                rows.put(connection, "wants", asdict(want))
            return families.promote(connection, entry)

    def unpromote(self, name: str, family: str, *, force: bool = False, why: str = "") -> bool:
        """Let the family point at nothing, if it still points at ``name`` and no stack wants it, unless forced."""
        with self.history.signing(HistoryEntry(family, HistoryEvent.WITHDRAWN, "", name, why)) as (connection, entry):
            return families.unpromote(connection, entry, force=force)

    def want(self, want: Want) -> None:
        """Register what a stack wants."""
        with self.database.writing() as connection:
            rows.put(connection, "wants", asdict(want))

    def wants(self) -> Sequence[Want]:
        """Return what all stacks want."""
        return [Want(*row) for row in self._select("SELECT stack, family, image, token FROM wants")]

    def drop_want(self, stack: str, family: str, token: str) -> bool:
        """Withdraw what the stack wants, if the token is right; return whether no stack wants the family now."""
        with self.database.writing() as connection:
            key = (stack, family, token)
            connection.execute("DELETE FROM wants WHERE stack = ? AND family = ? AND token = ?", key)
            return not families.is_wanted(connection, family)

    def revoke(self, revocation: Revocation) -> None:
        """Record a revocation."""
        with self.database.writing() as connection:
            rows.put(connection, "revocations", asdict(revocation))

    def revocations(self) -> Sequence[Revocation]:
        """Return all revocations."""
        return [Revocation(**dict(row)) for row in self._select("SELECT * FROM revocations")]

    def drop_revocations(self, cause: str) -> Sequence[str]:
        """Withdraw all revocations with this cause."""
        with self.database.writing() as connection:
            gone = connection.execute("DELETE FROM revocations WHERE cause = ? RETURNING image", (cause,)).fetchall()
            return [row["image"] for row in gone]

    def deprecate(self, name: str, replacement: str = "") -> bool:
        """Mark the image as DEPRECATED unless it does not exist, is not ACTIVE, or a family points at it."""
        with suppress(Uncertain):  # even a damaged image can be deprecated
            self.find(name)  # adopts an image that was published but not recorded
        with self.database.writing() as connection:
            return families.deprecate(connection, name, replacement, self.now())

    def copies(self, wants: Iterable[Want]) -> Sequence[CopyProject]:
        """Return none: there are no projects."""
        return ()

    def share(self, name: str, members: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Do nothing: every user who may read the folder can boot from its images."""

    def unshared(self, name: str, members: Sequence[str]) -> Sequence[str]:
        """Return no members, as :meth:`share` does nothing."""
        return ()

    def relabel(self, name: str, labels: Mapping[str, str]) -> None:
        """Set labels of the record; the file of the record keeps those of the publication."""
        if (image := self.find(name)) is None:
            raise BakeryError(f"there is no image {name} to label")
        if not labels.items() <= image.labels.items():
            with self.database.writing() as connection:
                rows.relabel(connection, name, {**image.labels, **labels})

    def record_test(self, name: str, proof: Proof, tests_digest: str, labels: Mapping[str, str] | None = None) -> None:
        """Record a verdict, the last one counts, and set labels. Raises BakeryError if the image does not exist."""
        if (image := self.find(name)) is None:
            raise BakeryError(f"there is no image {name} that could be {proof}")
        names = {name, *(one.name for one in self.sharing(image.digest) if one.source == name)}
        with self.database.writing() as connection:
            rows.record_proof(connection, sorted(names), proof, tests_digest, self.now(), labels=labels or {})

    def publish(self, record: ImageRecord, qcow2: Path) -> ImageRecord:
        """Move a baked file into the library as a candidate: completely and durably, or not at all.

        An existing image of that name is kept and returned, and the given file is deleted unless it is the library's.
        Raises InfrastructureFailed (for instance, disk full; the library is unchanged and the given file still exists)
        and Uncertain.
        """
        with self.leases.shared(record.digest):
            if (existing := self.find(record.name)) is not None:
                if qcow2 != self.files.image(record.digest):
                    qcow2.unlink(missing_ok=True)
                return existing
            with self.database.writing() as connection:  # no other process can publish between the look and the change
                if self.files.size(record.digest) is None:
                    rows.forget(connection, record.digest, self.now())
            image = self._insert(self.files.publish(record, qcow2))
        assert image is not None  # the lease prevents a deletion
        keep_reserve(self._reserve)
        return image

    def join(self, record: ImageRecord) -> bool:
        """Publish a candidate as :meth:`publish` does, with the file of an image of the same digest if there is one."""
        with self.leases.shared(record.digest):  # until the file is the new image's too
            if exists := bool(self.sharing(record.digest)):
                self.publish(record, self.files.image(record.digest))
        return exists

    def derive(self, source: str, family: str) -> str:
        """Publish a candidate of another family with the file and the proof of an image; return its name."""
        image = self.find(source)
        if image is None or not self.join(own := derived(image, family, self.now())):
            raise BakeryError(f"there is no image {source} for the family {family}", hint="see: bakery library")
        if image.proof is not Proof.UNTESTED:
            self.record_test(own.name, image.proof, self.proofs([image])[source])
        return own.name

    def image_file(self, name: str) -> Path:
        """Return the path of the image's file; raise BakeryError if the image does not exist."""
        if (image := self.find(name)) is None:
            raise BakeryError(f"there is no image {name} in {self.files.folder}", hint="see: bakery library")
        return Path(image.location)

    @contextmanager
    def lease(self, name: str) -> Iterator[Path]:
        """Keep the image from being deleted while the block (or its process) runs; yield the path of its file.

        Raises BakeryError if the image does not exist.
        """
        with self.leases.shared(self.image_file(name).stem):
            yield self.image_file(name)  # checked again: it may have been deleted during the wait

    def bake_times(self) -> Mapping[str, float]:
        """Map families to the seconds of their last bake, including images that no longer exist."""
        query = "SELECT candidate_for, bake_seconds FROM images WHERE bake_seconds > 0 ORDER BY seq"
        return {row["candidate_for"]: row["bake_seconds"] for row in self._select(query)}

    def record_run(self, result: RunResult) -> None:
        """Store a Fluid-Run, whatever its verdict; replace a stored run of the same ID."""
        with self.database.writing() as connection:
            runs.insert_run(connection, result)

    def runs(self, image: str | None = None, *, outputs: bool = True) -> Sequence[RunResult]:
        """Return the Fluid-Runs of an image (None: of all images), oldest first."""
        with self.database.reading() as connection:
            return runs.select_runs(connection, image, outputs)

    def tested(self) -> Sequence[str]:
        """Return the names of all images that have Fluid-Runs, also of those that were deleted."""
        return [row["image"] for row in self._select("SELECT DISTINCT image FROM runs")]

    def last_runs(self, images: Collection[str]) -> Mapping[str, RunResult]:
        """Map the images to their newest Fluid-Run."""
        with self.database.reading() as connection:
            return runs.newest(connection, images)

    def proofs(self, images: Iterable[ImageRecord]) -> Mapping[str, str]:
        """Map image names to the digest of the tests of the last recorded verdict."""
        names = {image.name for image in images}
        last = self._select("SELECT image, tests_digest, max(id) FROM proofs GROUP BY image")
        return {row["image"]: row["tests_digest"] for row in last if row["image"] in names}

    def in_use(self) -> Mapping[str, str]:
        """Return the images with a lease."""
        taken = [digest for digest in self.leases.files() if self.leases.taken(digest)]
        return {one.name: "something boots from it" for digest in taken for one in self.sharing(digest)}

    def set_state(self, image: ImageRecord, to: ImageState) -> int | None:
        """Move one image and return the bytes freed; None if its state has changed or a lease forbids its deletion."""
        name, digest = image.name, image.digest
        with self.leases.exclusive(digest) as free:
            if not free and to is ImageState.DELETED:
                return None
            with self.database.writing() as connection:
                row = rows.image_row(connection, name)
                if row is None or row["state"] != image.state or families.family_of(connection, name):
                    return None
                families.set_state(connection, name, to, image.replacement, row["state_since"])
                shared = rows.file_is_shared(connection, name, digest)
            return self.files.remove(name, digest, shared) if to is ImageState.DELETED else 0

    def _select(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self.database.reading() as connection:
            return connection.execute(query, values).fetchall()

    def _record(self, row: sqlite3.Row) -> ImageRecord:
        return rows.image_record(row, self.files.location(row["digest"]))

    def _adopt(self, name: str) -> ImageRecord | None:
        """Insert the row of an image that has a sidecar and a complete file; None if it has not."""
        sidecar = self.files.read_sidecar(name)
        if sidecar is None or self.files.size(sidecar.record.digest) != sidecar.record.size:
            return None
        return self._insert(sidecar)

    def _insert(self, sidecar: Sidecar) -> ImageRecord | None:
        with self.database.writing() as connection:
            row = rows.publish(connection, sidecar.record, sidecar.publication, self.now())
        return self._record(row) if row else None
