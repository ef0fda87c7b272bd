"""Image records from images of Compute Engine: what is known of an image is in its labels."""

from collections.abc import Mapping

from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.compute_engine.images import ComputeImage
from bakery.plan import image_labels


def image_record(image: ComputeImage, inputs: Mapping[str, str]) -> ImageRecord:
    """Return the record of an image; ``inputs`` is the manifest of its digest."""
    labels = dict(image.labels)
    proof = labels.get(image_labels.PROOF_LABEL, "")
    return ImageRecord(
        name=image.name,
        digest=labels.get(image_labels.DIGEST_LABEL, ""),
        package=labels.get(image_labels.RECIPE_LABEL, ""),
        variant=labels.get(image_labels.VARIANT_LABEL, ""),
        candidate_for=labels.get(image_labels.FAMILY_LABEL, ""),
        created=image.created,
        family=image.family,
        state=image_state(image),
        replacement=image.replacement.rpartition("/")[2],
        parent=labels.get(image_labels.PARENT_LABEL, ""),
        proof=Proof(proof) if proof in set(Proof) else Proof.UNTESTED,
        size=image.size,
        location=image.link,
        labels=labels,
        inputs=inputs,
    )


def of_prefix(labels: Mapping[str, str], prefix: str) -> bool:
    """Return whether an image with these labels is of the bakery whose names have the prefix, not of another one."""
    return labels.get(image_labels.PREFIX_LABEL, "") == prefix


def is_own(image: ImageRecord) -> bool:
    """Return whether the image belongs to the library of its project: it is not a copy from another one."""
    return bool(image.digest) and image_labels.COPY_LABEL not in image.labels


def image_state(image: ComputeImage) -> ImageState:
    """Return the state of an image, which Compute Engine leaves out if it is ACTIVE."""
    return ImageState(image.state or ImageState.ACTIVE)
