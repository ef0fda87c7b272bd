"""The image library of a Google Cloud project: Compute Engine's images with the bakery's labels.

The labels hold everything that must be known about an image, so that every stack and trigger reads the same. The
manifest of the digest is too long for a label; it is in the artifacts bucket as ``images/<name>.json``.
"""

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bakery.codec import decode, encode
from bakery.errors import BakeryError
from bakery.host.clock import utc_now
from bakery.host.google import (
    STORAGE_RETRY,
    TIMEOUT_SECONDS,
    Google,
    api_errors,
    clients,
    fetched,
    ignore_missing,
)
from bakery.library.base import ImageRecord, ImageState, Listing, Proof, Revocation, Want
from bakery.library.compute_engine import families, revocations, sharing, stored_runs, wants
from bakery.library.compute_engine.bigquery import store_rows
from bakery.library.compute_engine.copies import ComputeEngineCopies
from bakery.library.compute_engine.events import Event, EventKind, publish_event
from bakery.library.compute_engine.families import Note
from bakery.library.compute_engine.history import ComputeEngineHistory
from bakery.library.compute_engine.images import ComputeImage, ImageRequests
from bakery.library.compute_engine.records import image_record, image_state, is_own, of_prefix
from bakery.library.compute_engine.uses import uses
from bakery.library.derived import derived
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.plan import image_labels
from bakery.results.app_runs import without_outputs
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings
from bakery.settings.copies import family_and_project
from bakery.settings.google import Bucket


class ComputeEngineLibrary:
    """The images of one project, through the REST API; Fluid-Runs are in its artifacts bucket and in BigQuery."""

    def __init__(self, settings: Settings, google: Google | None = None) -> None:
        self.google = google or clients(settings.google)
        self.project = settings.google.project
        self._images = self.google.shared(ImageRequests)
        self._artifacts = self.google.storage.bucket(settings.google.bucket(Bucket.ARTIFACTS))
        self.history = ComputeEngineHistory(self.google, settings)

    def find(self, name: str) -> ImageRecord | None:
        """Return the image without its manifest; None if it certainly does not exist or its creation failed."""
        return _finished(self._images.get(name))

    def glance(self, name: str) -> ImageRecord | None:
        """Return the image as :meth:`find` does, with fewer requests; None also if it was made only moments ago."""
        return _finished(self._images.seen(name))

    def images(self) -> Sequence[ImageRecord]:
        """Return all images with the bakery's labels, oldest first, without DELETED ones and without manifests."""
        labelled = self._images.listed(f"labels.{image_labels.DIGEST_LABEL}:*")
        records = [image_record(image, {}) for image in self._own(labelled)]
        return [record for record in records if is_own(record) and record.state is not ImageState.DELETED]

    def sharing(self, digest: str) -> Sequence[ImageRecord]:
        """Return nothing: an image has one family, so another family has its own image of the same digest."""
        return ()

    def derive(self, source: str, family: str) -> str:
        """Make an image of another family from an image (``sourceImage``), with its labels and its manifest."""
        image = self._images.get(source)
        if image is None:
            raise BakeryError(f"there is no image {source} for the family {family}", hint="see: bakery library")
        own = derived(image_record(image, self.manifest(source)), family, self.now())
        if _finished(self._images.get(own.name)) is None:
            if image_state(image) is ImageState.OBSOLETE:  # no image can be made from it
                self._deprecate(source, "")
            self.keep_manifest(own.name, own.inputs)
        return self._images.made_from(source, own.name, own.labels).name

    def families(self) -> Mapping[str, str]:
        """Map each family of a labelled image to its newest ACTIVE image, as Compute Engine does."""
        return self.listing().families

    def listing(self) -> Listing:
        """List all images of the project once; those without the label of a digest are strangers.

        Those of a bakery with another prefix are left out: its families are not this library's.
        """
        listed = self._own(self._images.listed())
        records = [image_record(image, {}) for image in listed]
        mine = {family for record in records if is_own(record) for family in (record.family, record.candidate_for)}
        active = [record for record in records if record.family and record.state is ImageState.ACTIVE]
        return Listing(
            tuple(record for record in records if is_own(record) and record.state is not ImageState.DELETED),
            {
                record.family: record.name for record in active if record.family in mine
            },  # the newest wins, as it is last
            {image.name: image.deprecated for image in listed if image.deprecated},
            {record.name: record.family for record in active if not is_own(record)},
        )

    def copies(self, wants: Iterable[Want]) -> Sequence[ComputeEngineCopies]:
        """Return the projects that the settings and the wants name."""
        wanted = {family_and_project(want.family)[1] for want in wants} - {""}
        projects = sorted({*self.google.settings.copies, *wanted})
        return [ComputeEngineCopies(self.google, project) for project in projects]

    def promote(self, name: str, family: str, want: Want | None = None, why: str = "") -> str:
        """Put the image into the family and deprecate its other ACTIVE images; return the newest of them, or ""."""
        if want:  # before the look: another stack that gives the family back looks again for wants after it has done so
            self.want(want)
        note = self._note(HistoryEntry(family, HistoryEvent.PROMOTED, name, why=why))
        of, project = family_and_project(family)
        if project:
            return ComputeEngineCopies(self.google, project).copy(name, of, note)
        image, others = self._images.with_family(name, family)
        if image is None:
            raise BakeryError(f"there is no image {name} to promote", hint="run pulumi refresh, then pulumi up")
        previous = families.point(self._images, image, others, family, self.now(), note=note)
        if previous or image.family != family or image.state not in ("", ImageState.ACTIVE):
            publish_event(self.google, Event(EventKind.PROMOTED, name, family, before=previous))
        return previous

    def unpromote(self, name: str, family: str, *, force: bool = False, why: str = "") -> bool:
        """Deprecate the family's other ACTIVE images and take this one out of it, so that no image resolves."""

        def wanted() -> bool:
            return not force and bool(wants.listed(self._artifacts, family))

        note = self._note(HistoryEntry(family, HistoryEvent.WITHDRAWN, "", why=why))
        of, project = family_and_project(family)
        if project:
            return ComputeEngineCopies(self.google, project).withdraw(name, of, wanted, note)
        return families.clear(self._images, name, family, self.now(), wanted, note=note)

    def want(self, want: Want) -> None:
        """Register what a stack wants, in the artifacts bucket."""
        wants.put(self._artifacts, want)

    def wants(self) -> Sequence[Want]:
        """Return what all stacks want; nothing if the bucket does not exist."""
        return wants.listed(self._artifacts)

    def drop_want(self, stack: str, family: str, token: str) -> bool:
        """Withdraw what the stack wants, if the token is right; return whether no stack wants the family now."""
        return wants.drop(self._artifacts, stack, family, token)

    def revoke(self, revocation: Revocation) -> None:
        """Record a revocation in the artifacts bucket."""
        revocations.put(self._artifacts, revocation)

    def revocations(self) -> Sequence[Revocation]:
        """Return all revocations; none if the bucket does not exist."""
        return self.google.shared(revocations.Revocations).listed()

    def drop_revocations(self, cause: str) -> Sequence[str]:
        """Withdraw all revocations with this cause."""
        return revocations.drop(self._artifacts, cause)

    def deprecate(self, name: str, replacement: str = "") -> bool:
        """Mark the image as DEPRECATED unless it does not exist, is not ACTIVE, or a family points at it."""
        record = self.find(name)
        if record is None or record.state is not ImageState.ACTIVE:
            return False
        pointed_at = families.active(self._images.of_family(record.family))[-1:] if record.family else []
        if [one.name for one in pointed_at] == [name]:
            return False
        self._deprecate(name, replacement)
        return True

    def now(self) -> str:
        """Return this machine's time to the second; it becomes the date of a deprecation."""
        return utc_now("seconds")

    def in_use(self) -> Mapping[str, str]:
        """Return the images that disks were made from and that instance templates name."""
        return uses(self.google)

    def set_state(self, image: ImageRecord, to: ImageState) -> int | None:
        """Move an image; DELETED deletes its manifest too, and keeps its Fluid-Runs."""
        current = self._images.get(image.name)
        if current is None or image_state(current) is not image.state:  # only an ACTIVE image can be a family's
            return None
        if to is not ImageState.DELETED:
            self._images.set_state(image.name, to, image.replacement, current.deprecated)
            return 0
        self._images.delete(image.name)
        with ignore_missing(f"delete the manifest of {image.name}"):
            self._artifacts.blob(self._manifest(image.name)).delete(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)
        return image.size

    def record_test(self, name: str, proof: Proof, tests_digest: str, labels: Mapping[str, str] | None = None) -> None:
        """Set the labels of verdict and tests and these, also those of the images that were made from this one."""
        digest = tests_digest[: image_labels.DIGEST_IN_LABEL]
        own = {image_labels.PROOF_LABEL: proof.value, image_labels.TESTS_LABEL: digest}
        for image in self._images.with_label(image_labels.SOURCE_LABEL, name):
            self._images.label(image.name, {**(labels or {}), **own}, image)

    def manifest(self, name: str) -> Mapping[str, str]:
        """Return the manifest of an image's digest; empty if the bake stored none."""
        text = fetched(self._artifacts.blob(self._manifest(name)), f"read the manifest of {name}")
        return dict(json.loads(text)) if text else {}

    def keep_manifest(self, name: str, inputs: Mapping[str, str]) -> None:
        """Store the manifest of an image's digest."""
        with api_errors(f"keep the manifest of {name}"):
            blob = self._artifacts.blob(self._manifest(name))
            text = json.dumps(dict(inputs), sort_keys=True)
            blob.upload_from_string(text, content_type="application/json", retry=STORAGE_RETRY)

    def record_run(self, result: RunResult) -> None:
        """Store a Fluid-Run in the artifacts bucket and its rows in BigQuery; a repeated call changes nothing."""
        with api_errors(f"keep the results of {result.image}"):
            stored = stored_runs.write(self._artifacts, result.image, result.run_id, json.dumps(encode(result)))
        table = self.google.settings.table_id
        store_rows(self.google, table, [dict(job.row) for job in result.jobs], result.run_id)
        passed = result.verdict is Verdict.PASSED
        publish_event(
            self.google,
            Event(
                EventKind.TESTED if passed else EventKind.FAILED,
                result.image,
                stage="" if passed else "test",
                verdict=result.verdict.value,
                reason=result.reason,
                run_id=result.run_id,
                log=stored,
            ),
        )

    def proofs(self, images: Iterable[ImageRecord]) -> Mapping[str, str]:
        """Map image names to the beginning of the tests' digest, which is a label of the image."""
        tests = image_labels.TESTS_LABEL
        return {image.name: image.labels[tests] for image in images if tests in image.labels}

    def bake_times(self) -> Mapping[str, float]:
        """Return an empty mapping: Compute Engine keeps no bake times."""
        return {}

    def lease(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Do nothing: a disk that was created from an image does not need the image any more."""
        return contextlib.nullcontext()

    def runs(self, image: str | None = None, *, outputs: bool = True) -> Sequence[RunResult]:
        """Return the Fluid-Runs of an image (None: of all images), oldest first; none if the bucket does not exist."""
        texts = stored_runs.read(self._artifacts, image or "")
        runs = sorted((decode(RunResult, json.loads(text)) for text in texts), key=lambda run: run.started)
        return runs if outputs else [without_outputs(run) for run in runs]

    def last_runs(self, images: Collection[str]) -> Mapping[str, RunResult]:
        """Map the images to their newest Fluid-Run: one list call for all of them."""
        return {
            image: without_outputs(decode(RunResult, json.loads(text)))
            for image, text in stored_runs.newest(self._artifacts, images).items()
        }

    def unshared(self, name: str, members: Sequence[str]) -> Sequence[str]:
        """Return those of ``members`` that lack ``compute.imageUser`` on this image."""
        return sharing.unshared(self.google, self.project, name, members)

    def relabel(self, name: str, labels: Mapping[str, str]) -> None:
        """Set labels of the image."""
        self._images.label(name, labels)

    def share(self, name: str, members: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Grant ``compute.imageUser`` on this image to ``members``, and revoke it from ``gone``."""
        sharing.share(self.google, self.project, name, set(members), set(gone))

    def _own(self, images: Iterable[ComputeImage]) -> list[ComputeImage]:
        """Return the images except those of bakeries in the same project whose names have another prefix."""
        return [
            image
            for image in images
            if image_labels.DIGEST_LABEL not in image.labels or of_prefix(image.labels, self._images.prefix)
        ]

    def _note(self, entry: HistoryEntry) -> Note:
        return lambda previous: self.history.record(replace(entry, previous=previous))

    def _deprecate(self, name: str, replacement: str) -> None:
        self._images.set_state(name, ImageState.DEPRECATED, replacement, self.now())

    @staticmethod
    def _manifest(name: str) -> str:
        return f"images/{name}.json"


def _finished(image: ComputeImage | None) -> ImageRecord | None:
    return None if image is None or image.status == "FAILED" else image_record(image, {})
