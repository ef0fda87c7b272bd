"""Which image a person means: its name, the start of its name or digest, or a family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bakery.errors import BakeryError
from bakery.library.base import ImageRecord

SHOWN = 10  # names in a hint


def pick(wanted: str, images: Sequence[ImageRecord], families: Mapping[str, str], others: Iterable[str] = ()) -> str:
    """The name of the one image that ``wanted`` fits; a family stands for what it points at, else for its newest.

    ``images`` are the library's, oldest first; ``others`` are names of images that are only known otherwise (from a
    log). Raises BakeryError when nothing or more than one image fits.
    """
    known = {image.name for image in images} | set(others)
    if wanted in known:
        return wanted
    of_family = [image.name for image in images if image.candidate_for == wanted]
    if of_family:
        return families.get(wanted, of_family[-1])
    by_digest = {image.name for image in images if wanted and image.digest.startswith(wanted)}
    found = sorted({name for name in known if wanted and name.startswith(wanted)} | by_digest)
    if len(found) == 1:
        return found[0]
    if found:
        raise BakeryError(f"{wanted} fits {len(found)} images", hint="name one of: " + ", ".join(found[:SHOWN]))
    raise BakeryError(f"there is no image {wanted}, and no log of one", hint="see: bakery library")
