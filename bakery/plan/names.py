"""Image names and labels as Compute Engine takes them.

Rules from Compute Engine's reference: a resource name is RFC 1035 (``[a-z]([-a-z0-9]{0,61}[a-z0-9])?``); a label's
value has at most 63 lower-case letters, digits, ``-`` and ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.plan.model import DIGEST_SHOWN

NAME_LENGTH = 63
FAMILY_LENGTH = NAME_LENGTH - DIGEST_SHOWN - 1
LABEL_LENGTH = 63
# A SHA-256 in hex has 64 characters, one more than a label takes. Half of it (128 bits) is still more than chance
# ever makes twice, and is read as what it is: a prefix.
DIGEST_IN_LABEL = 32

DIGEST_LABEL = "bakery-digest"
RECIPE_LABEL = "bakery-recipe"
VARIANT_LABEL = "bakery-variant"
FAMILY_LABEL = "bakery-family"
PARENT_LABEL = "bakery-parent"
REVISION_LABEL = "bakery-revision"

_LEGAL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NOT_LABEL = re.compile(r"[^a-z0-9_-]")


def image_name(family: str, digest: str) -> str:
    """``<family>-<first 12 of digest>``."""
    return f"{family}-{digest[:DIGEST_SHOWN]}"


def family_fault(family: str) -> tuple[str, str] | None:
    """What is wrong with a family's name and what to do about it; None when it is fine."""
    if not family:
        return "has no image family", "set _IMAGE_FAMILY in cloudbuild.yaml or image_family in packer.json"
    if not _LEGAL.fullmatch(family):
        hint = "use lower-case letters, digits and -, a letter first and no - at the end"
        return f"family {family!r} is no Compute Engine name", hint
    if len(family) > FAMILY_LENGTH:
        hint = f"shorten it to {FAMILY_LENGTH}: the image's name adds - and {DIGEST_SHOWN} characters of the digest"
        return f"family {family!r} has {len(family)} characters", hint
    return None


def base_fault(family: str) -> tuple[str, str] | None:
    """What is wrong with the name of a base image or its family and what to do; None when it is fine."""
    if len(family) <= NAME_LENGTH and _LEGAL.fullmatch(family):
        return None
    shown = family if len(family) <= NAME_LENGTH else f"{family[:NAME_LENGTH]}..."
    return f"base image {shown!r} is no Compute Engine name", "name an image family, or an image by its name alone"


def label(text: str) -> str:
    """The text as a label's value: lower case, ``-`` for what is not allowed, at most 63 characters."""
    return _NOT_LABEL.sub("-", text.lower())[:LABEL_LENGTH]


def labels(*, package: str, variant: str, family: str, digest: str, parent: str, revision: str) -> Mapping[str, str]:
    """An image's labels; empty ones are left out. ``parent`` is the base's image name, ``revision`` a git commit."""
    values = {
        DIGEST_LABEL: digest[:DIGEST_IN_LABEL],
        RECIPE_LABEL: package,
        VARIANT_LABEL: variant,
        FAMILY_LABEL: family,
        PARENT_LABEL: parent,
        REVISION_LABEL: revision,
    }
    return {key: label(value) for key, value in values.items() if value}
