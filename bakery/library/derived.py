"""Images of another family with the content of an image: those of channels, see :mod:`bakery.preview.targets`."""

from dataclasses import replace

from bakery.library.base import ImageRecord
from bakery.plan.image_labels import FAMILY_LABEL, SOURCE_LABEL
from bakery.recipe.image_names import image_name


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
