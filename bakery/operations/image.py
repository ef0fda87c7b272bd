"""The image that a family points at, for scripts: ``bakery image``."""

from typing import Any

from bakery.backends.base import Backend
from bakery.backends.promoted import details
from bakery.errors import BakeryError
from bakery.library.base import Proof


def image(backend: Backend, family: str) -> dict[str, Any]:
    """Return what consumers can read about the family's image, see ``schemas/image.schema.json``.

    Raises BakeryError if the family points at no image of the bakery, and Uncertain.
    """
    library = backend.existing_library()
    name = library.families().get(family, "") if library else ""
    record = library.find(name) if library and name else None
    if record is None or not record.digest:
        hint = "see: bakery library; a family gets an image by pulumi up"
        raise BakeryError(f"the family {family} points at no image", hint=hint)
    return {
        "family": family,
        "image": record.name,
        "digest": record.digest,
        "link": backend.image_link(record.name, record.digest),
        "package": record.package,
        "variant": record.variant,
        "tested": record.proof is Proof.PASSED,
        **details(backend, [record])[record.name],
    }
