"""Find an image by its name, the beginning of its name or digest, or its family."""

from collections.abc import Iterable

from bakery.errors import BakeryError
from bakery.library.base import ImageRecord, Listing

SHOWN = 10  # names in a hint


def pick(wanted: str, held: Listing, others: Iterable[str] = ()) -> str:
    """Return the name of the one image of the library that ``wanted`` fits.

    A family fits the image that it points at, or its newest image if it points at none. ``others`` are names of images
    without a record (from logs). Raises BakeryError if no image or more than one image fits.
    """
    images = held.images
    known = {image.name for image in images} | set(others)
    if wanted in known:
        return wanted
    of_family = [image.name for image in images if image.candidate_for == wanted]
    if of_family:
        return held.families.get(wanted, of_family[-1])
    by_digest = {image.name for image in images if wanted and image.digest.startswith(wanted)}
    fitting = sorted({name for name in known if wanted and name.startswith(wanted)} | by_digest)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise BakeryError(f"{wanted} matches {len(fitting)} images", hint="name one of: " + ", ".join(fitting[:SHOWN]))
    raise BakeryError(f"there is no image {wanted}, and no log of one", hint="see: bakery library")


def picked(wanted: str, held: Listing) -> ImageRecord:
    """Return the image of :func:`pick`. Raises BakeryError, also if it is not one of the bakery."""
    name = pick(wanted, held)
    for image in held.images:
        if image.name == name:
            return image
    raise BakeryError(f"{wanted} points at {name}, which the bakery did not make", hint="see: bakery drift")
