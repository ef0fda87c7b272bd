"""Images of another family with the content of an image: those of channels, see :mod:`bakery.preview.targets`."""

from dataclasses import replace

from bakery.library.base import ImageRecord
from bakery.plan.image_labels import FAMILY_LABEL, PARENT_LABEL, PREFIX_LABEL, SOURCE_LABEL, label, lasting
from bakery.recipe.image_names import image_name
from bakery.settings import GoogleSettings
from bakery.settings.source_stack import translated


def content(image: str) -> str:
    """Return the end of an image's name, which is the beginning of its digest."""
    return image.rpartition("-")[2]


def derived_name(source: str, family: str) -> str:
    """Return the name of the image of ``family`` with the content of the image ``source``."""
    return image_name(family, content(source))


def derived(source: ImageRecord, family: str, created: str) -> ImageRecord:
    """Return the record of the image of ``family`` with the content of ``source``. It was not baked."""
    return replace(
        source,
        name=derived_name(source.name, family),
        candidate_for=family,
        created=created,
        bake_seconds=0.0,
        labels={**source.labels, FAMILY_LABEL: family, SOURCE_LABEL: source.name},
    )


def labels_elsewhere(
    image: ImageRecord, parent: ImageRecord | None, of: GoogleSettings, to: GoogleSettings
) -> dict[str, str]:
    """Return the lasting labels of an image for another library, whose names may have another prefix.

    ``parent`` is the image's own, if the library ``of`` has it; a base image of others keeps its name.
    """
    labels = lasting(image.labels)
    if of.prefix == to.prefix:
        return labels
    labels[FAMILY_LABEL] = label(translated(image.candidate_for, of, to))
    if parent:
        labels[PARENT_LABEL] = label(translated(parent.name, of, to))
    return {key: value for key, value in labels.items() if key != PREFIX_LABEL} | (
        {PREFIX_LABEL: label(to.prefix)} if to.prefix else {}
    )
