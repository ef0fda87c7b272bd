"""Takes an image file that was made elsewhere into the local library."""

import shutil
from collections.abc import Callable
from pathlib import Path

from bakery.errors import BakeryError
from bakery.host.files import hidden_beside
from bakery.library.adoption import adopted
from bakery.library.base import ImageRecord
from bakery.library.local.files import sha256, writing
from bakery.library.local.library import LocalLibrary


def adopt(library: LocalLibrary, file: Path, image: ImageRecord, disk: Callable[[Path], Path]) -> ImageRecord:
    """Publish a copy of the file as a candidate; ``disk`` makes of that copy the file of the library.

    The file is not changed, nor is the library by later changes of it. Idempotent. Raises BakeryError if it does not
    exist, what ``disk`` raises, InfrastructureFailed and Uncertain.
    """
    if not file.is_file():
        raise BakeryError(f"there is no file {file}", hint="name a qcow2 or raw image of a disk")
    with writing(file):
        own = adopted(image, _digest(library, file), file.name)
    if existing := library.find(own.name):
        return existing
    copy = hidden_beside(library.files.image(own.digest))
    made = copy
    try:
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        made = disk(copy)
        return library.publish(own, made)
    finally:
        copy.unlink(missing_ok=True)
        made.unlink(missing_ok=True)


def _digest(library: LocalLibrary, file: Path) -> str:
    """Return the digest of the library's image that has the same content; that of the content if none has."""
    content, size = sha256(file), file.stat().st_size
    for image in library.images():
        known = library.files.read_sidecar(image.name) if image.size == size else None
        if known and known.sha256 == content:
            return image.digest
    return content
