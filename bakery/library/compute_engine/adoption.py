"""Takes an image of Compute Engine that was made elsewhere into the library of a project.

It is copied (``sourceImage``), also within the project: the names of the library's images end with the digest, which
revocations and channels rely on, and the original stays its owner's.
"""

import hashlib
import re

from bakery.errors import BakeryError
from bakery.library.adoption import adopted
from bakery.library.base import ImageRecord
from bakery.library.compute_engine.images import ImageRequests
from bakery.library.compute_engine.records import image_record
from bakery.plan.image_labels import DIGEST_IN_LABEL, DIGEST_LABEL

_IMAGE = re.compile(r"(?:(?:https://[^/]+/compute/v1/)?projects/([^/]+)/global/images/)?([a-z][-a-z0-9]*)")
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_IN_LABEL}}}")  # of an image that a bakery made


def adopt(images: ImageRequests, source: str, image: ImageRecord) -> ImageRecord:
    """Make a candidate with the content of the image ``source``: a name, ``projects/P/global/images/N``, or its link.

    Idempotent. Raises BakeryError if there is no such image or another one has the name, and Uncertain.
    """
    if (match := _IMAGE.fullmatch(source)) is None:
        hint = "write the name of an image of the project, or projects/PROJECT/global/images/NAME"
        raise BakeryError(f"{source!r} is not an image of Compute Engine", hint=hint)
    project, name = match[1] or images.project, match[2]
    identity, labels = images.identity(project, name)
    known = labels.get(DIGEST_LABEL, "")
    digest = known if _DIGEST.fullmatch(known) else hashlib.sha256(f"compute-engine:{identity}".encode()).hexdigest()
    own = adopted(image, digest, name, images.prefix)
    made = images.made_from(name, own.name, own.labels, project)
    if made.labels.get(DIGEST_LABEL) != own.labels[DIGEST_LABEL]:
        hint = "delete it, or adopt the image into another family"
        raise BakeryError(f"there is another image {own.name}", hint=hint)
    return image_record(made, {})
