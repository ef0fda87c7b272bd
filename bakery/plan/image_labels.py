"""The labels of images, as Compute Engine accepts them.

Source: Compute Engine's reference, "Labels": a value has at most 63 lower-case letters, digits, ``-`` and ``_``.
"""

import re
from collections.abc import Mapping

from bakery.plan.architecture import X86

LABEL_LENGTH = 63
# A SHA-256 in hex has 64 characters, one more than a label can have. Half of it (128 bits) is still unique, and is
# easily recognised as a prefix.
DIGEST_IN_LABEL = 32

DIGEST_LABEL = "bakery-digest"
RECIPE_LABEL = "bakery-recipe"
VARIANT_LABEL = "bakery-variant"
FAMILY_LABEL = "bakery-family"
PARENT_LABEL = "bakery-parent"
ARCHITECTURE_LABEL = "bakery-architecture"  # only of images that are not for x86_64
PREFIX_LABEL = "bakery-prefix"  # of the stack's names, if it has one of its own: the library is that of the prefix
REVISION_LABEL = "bakery-revision"
FIRST_LABEL = "bakery-first"  # when a staged roll-out began, in seconds since 1970
FAILURE_LABEL = "bakery-failure"  # why it was stopped
ADOPTED_LABEL = "bakery-adopted-from"  # the name that an image had before the library took it
PROOF_LABEL = "bakery-proof"  # the verdict of the last tests, on Compute Engine
TESTS_LABEL = "bakery-tests"  # the beginning of their digest
COPY_LABEL = "bakery-copied-from"  # of an image in another project: the project with the original
VERSION_LABEL = "bakery-version-"  # the beginning: of software on the image, see bakery.library.versions
SLURM_LABEL = f"{VERSION_LABEL}slurm"
MACHINE_LABEL = "bakery-machine"  # spot or standard: what it was baked on, if the stack bakes on spot machines
SOURCE_LABEL = "bakery-source"  # the image whose content a channel's image has

_CHANGING = (PROOF_LABEL, TESTS_LABEL, FIRST_LABEL, FAILURE_LABEL)
_NOT_LABEL = r"[^a-z0-9_-]"


def label(text: str) -> str:
    """Return the text as a label's value: lower case, ``-`` for other characters, at most 63 characters."""
    return re.sub(_NOT_LABEL, "-", text.lower())[:LABEL_LENGTH]


def lasting(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without those that change while an image is in use."""
    return {key: value for key, value in labels.items() if key not in _CHANGING and not key.startswith(VERSION_LABEL)}


def image_labels(
    *,
    package: str,
    variant: str,
    family: str,
    digest: str,
    parent: str,
    revision: str,
    architecture: str = "",
    prefix: str = "",
) -> Mapping[str, str]:
    """Return an image's labels without empty ones. ``parent`` is the base's image, ``revision`` a git commit.

    ``architecture`` is that of :mod:`bakery.plan.architecture`.
    """
    values = {
        DIGEST_LABEL: digest[:DIGEST_IN_LABEL],
        RECIPE_LABEL: package,
        VARIANT_LABEL: variant,
        FAMILY_LABEL: family,
        PARENT_LABEL: parent,
        REVISION_LABEL: revision,
        PREFIX_LABEL: prefix,
        ARCHITECTURE_LABEL: architecture if architecture != X86 else "",
    }
    return {key: label(value) for key, value in values.items() if value}
