"""Takes an image of another stack's library into the local library, with its digest, verdict and Fluid-Runs."""

import shutil
from dataclasses import replace
from pathlib import Path

from bakery.errors import BakeryError
from bakery.host.files import hidden_beside
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.local.files import sha256, writing
from bakery.library.local.library import LocalLibrary
from bakery.plan.image_labels import FAILURE_LABEL, FIRST_LABEL


def take(library: LocalLibrary, name: str, source: LocalLibrary) -> bool:
    """Publish the image of ``source`` as a candidate; return whether it was copied, and not in the library already.

    Idempotent: a killed call can be repeated. Raises BakeryError if there is no such image, if its content changed or
    differs from that of the library's image, InfrastructureFailed and Uncertain.
    """
    with source.lease(name) as file:
        image = source.find(name)
        assert image is not None  # the lease prevents a deletion
        _require_same(library, source, image)
        copied = library.find(name) is None
        if copied:
            _copy(library, source, image, file)
    for run in source.runs(name):
        library.record_run(run)
    tests = source.proofs([image]).get(name, "")
    own = library.find(name)
    if own and own.proof is Proof.FAILED:
        hint = "release another image, or test it there again: bakery test"
        raise BakeryError(f"{name} has failed its tests in {library.files.folder}", hint=hint)
    if own and tests and (own.proof, library.proofs([own]).get(name)) != (image.proof, tests):
        library.record_test(name, image.proof, tests)
    return copied


def _copy(library: LocalLibrary, source: LocalLibrary, image: ImageRecord, file: Path) -> None:
    """Publish a copy of the image, whose content must be that of its publication, and of the files beside it."""
    labels = {key: value for key, value in image.labels.items() if key not in (FIRST_LABEL, FAILURE_LABEL)}
    record = replace(image, family="", state=ImageState.ACTIVE, replacement="", proof=Proof.UNTESTED, labels=labels)
    copy, kept = hidden_beside(library.files.image(image.digest)), source.files.kept(image.name)
    try:
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if kept.is_dir():
                shutil.copytree(kept, library.files.kept(image.name), dirs_exist_ok=True)
            shutil.copyfile(file, copy)
            known = source.files.read_sidecar(image.name)
            if known and known.sha256 and sha256(copy) != known.sha256:
                hint = "see: bakery library --verify; remove the file, and the next up bakes it again"
                raise BakeryError(f"the content of {file} has changed since it was published", hint=hint)
        library.publish(record, copy)
    finally:
        copy.unlink(missing_ok=True)


def _require_same(library: LocalLibrary, source: LocalLibrary, image: ImageRecord) -> None:
    """Raise BakeryError if the library has an image of the name with another content: each stack baked its own."""
    mine, theirs = library.files.read_sidecar(image.name), source.files.read_sidecar(image.name)
    if mine and theirs and library.find(image.name) and mine.sha256 != theirs.sha256:
        hint = f"each stack has baked it; pin the one that is there: bakery promote {image.candidate_for} {image.name}"
        raise BakeryError(f"{image.name} is in {library.files.folder} already, with another content", hint=hint)
