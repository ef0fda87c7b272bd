"""The proven images of a library, which are kept under the rules of digests that they were baked under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.plan import digest
from bakery.plan.image_labels import DIGEST_IN_LABEL

if TYPE_CHECKING:
    from bakery.preview.snapshot import OpenLibrary


def proven_digests(open_library: OpenLibrary) -> frozenset[str]:
    """Return the digests of proven images, as :func:`bakery.plan.digest.identify` takes them.

    An image that passed its last tests is proven, and so is one that a family points at, which may have no tests;
    a revoked one is not. While there is one generation of rules nothing depends on it, and the library is not opened.
    Raises Uncertain if the library cannot be read.
    """
    if len(digest.GENERATIONS) == 1:
        return frozenset()
    from bakery.library.base import Proof  # here and below: not needed while there is one generation
    from bakery.library.derived import content
    from bakery.library.revocation import in_force

    library = open_library()
    if library is None:
        return frozenset()
    listing, revoked = library.listing(), in_force(library.revocations(), library.now())
    used = {*listing.families.values()}
    return frozenset(
        image.digest[:DIGEST_IN_LABEL]
        for image in listing.images
        if (image.proof is Proof.PASSED or image.name in used) and content(image.name) not in revoked
    )
