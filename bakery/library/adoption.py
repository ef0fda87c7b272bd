"""Images that were made elsewhere: a library takes them as untested candidates of a family of the plan.

Nothing is known of how they were made, so their digest is that of their content or, where it cannot be read, of what
identifies them. An image that a bakery made keeps its digest, so that a revocation of one holds for the other.
"""

from dataclasses import replace

from bakery.library.base import ImageRecord
from bakery.plan.image_labels import ADOPTED_LABEL, image_labels, label
from bakery.recipe.image_names import image_name


def adopted(image: ImageRecord, digest: str, origin: str, prefix: str = "") -> ImageRecord:
    """Return the record of an image with this digest; ``image`` has family and recipe, ``origin`` is its old name.

    ``prefix`` is that of the stack's names.
    """
    family = image.candidate_for
    labels = image_labels(
        package=image.package,
        variant=image.variant,
        family=family,
        digest=digest,
        parent="",
        revision="",
        prefix=prefix,
    )
    return replace(
        image, name=image_name(family, digest), digest=digest, labels={**labels, ADOPTED_LABEL: label(origin)}
    )
