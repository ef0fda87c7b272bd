"""Takes an image of another stack's library into the library of a project, with its manifest, verdict and Fluid-Runs.

The image is made from the other one (``sourceImage``), also in the same project: there the stacks have names with other
prefixes. Its proof comes last, so that a call which was killed leaves a candidate at most.
"""

import json
from dataclasses import replace

from bakery.codec import encode
from bakery.errors import BakeryError
from bakery.host.google import Google, api_errors
from bakery.library.base import ImageRecord, Proof
from bakery.library.compute_engine import stored_runs
from bakery.library.compute_engine.bigquery import store_rows
from bakery.library.compute_engine.images import ImageRequests
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.compute_engine.records import image_record
from bakery.library.derived import labels_elsewhere
from bakery.plan.image_labels import DIGEST_IN_LABEL, VERSION_LABEL
from bakery.recipe.image_names import image_name
from bakery.results.model import RunResult
from bakery.settings.google import Bucket
from bakery.settings.source_stack import translated


def take(library: ComputeEngineLibrary, name: str, source: ComputeEngineLibrary) -> bool:
    """Make a candidate from the image ``name`` of ``source`` and give it its proof; return whether it was made.

    Idempotent: a killed call can be repeated. Raises BakeryError if there is no such image, if it failed its tests in
    this library, or if another image has its name, and Uncertain.
    """
    of, to = source.google.settings, library.google.settings
    image = source.find(name)
    if image is None:
        raise BakeryError(f"there is no image {name} in the project {of.project}", hint="see: bakery library")
    own = image_name(translated(image.candidate_for, of, to), image.digest)
    before = library.find(own)
    _require_same(before, image, own, to.project)
    inputs, runs = source.manifest(name), source.runs(name)
    if before is None:
        library.keep_manifest(own, inputs)
    made = _made(library, source, image, own)
    taken = {run.run_id for run in library.runs(own, outputs=False)}
    for run in runs:
        if run.run_id not in taken:
            _store(library.google, _renamed(run, own))
    tests = source.proofs([image]).get(name, "")
    if tests and (made.proof, library.proofs([made]).get(own)) != (image.proof, tests):
        versions = {key: text for key, text in image.labels.items() if key.startswith(VERSION_LABEL)}
        library.record_test(own, image.proof, tests, versions)
    return before is None


def _made(library: ComputeEngineLibrary, source: ComputeEngineLibrary, image: ImageRecord, own: str) -> ImageRecord:
    of, to = source.google.settings, library.google.settings
    labels = labels_elsewhere(image, source.find(image.parent) if image.parent else None, of, to)
    return image_record(library.google.shared(ImageRequests).made_from(image.name, own, labels, of.project), {})


def _require_same(before: ImageRecord | None, image: ImageRecord, own: str, project: str) -> None:
    """Raise BakeryError unless the library may have, or get, the image ``own``."""
    if before is None:
        return
    if before.digest[:DIGEST_IN_LABEL] != image.digest[:DIGEST_IN_LABEL]:
        raise BakeryError(
            f"there is another image {own} in the project {project}", hint="delete it, and run this again"
        )
    if before.proof is Proof.FAILED:
        hint = "release another image, or test it there again: bakery test"
        raise BakeryError(f"{own} has failed its tests in the project {project}", hint=hint)


def _store(google: Google, run: RunResult) -> None:
    """Store a Fluid-Run of another library, which sends no event of this one. The object comes last: it says all."""
    store_rows(google, google.settings.table_id, [dict(job.row) for job in run.jobs], run.run_id)
    with api_errors(f"keep the results of {run.image}"):
        bucket = google.storage.bucket(google.settings.bucket(Bucket.ARTIFACTS))
        stored_runs.write(bucket, run.image, run.run_id, json.dumps(encode(run)))


def _renamed(run: RunResult, image: str) -> RunResult:
    """Return the run as one of an image with another name, but the same content."""
    rows = ({**job.row, "vm_image": image} if "vm_image" in job.row else job.row for job in run.jobs)
    jobs = tuple(replace(job, row=row) for job, row in zip(run.jobs, rows, strict=True))
    return replace(run, image=image, jobs=jobs)
