"""Compute Engine's rules for the names of images and families.

A resource name is RFC 1035 (``[a-z]([-a-z0-9]{0,61}[a-z0-9])?``), see Compute Engine's "Naming resources".
"""

import re

DIGEST_SHOWN = 12  # characters of a digest in names, inputs and tables


NAME_LENGTH = 63


FAMILY_LENGTH = NAME_LENGTH - DIGEST_SHOWN - 1


_LEGAL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def image_name(family: str, digest: str) -> str:
    """Return ``<family>-<first 12 characters of the digest>``."""
    return f"{family}-{digest[:DIGEST_SHOWN]}"


def family_fault(family: str) -> tuple[str, str] | None:
    """Return what is wrong with a family's name and what to do, or None if it is valid."""
    if not family:
        return "has no image family", "set _IMAGE_FAMILY in cloudbuild.yaml or image_family in the template"
    if not _LEGAL.fullmatch(family):
        hint = "use lower-case letters, digits and -; begin with a letter and do not end with -"
        return f"invalid Compute Engine name {family!r} of a family", hint
    if len(family) > FAMILY_LENGTH:
        hint = f"shorten it to {FAMILY_LENGTH}: the image's name adds - and {DIGEST_SHOWN} characters of the digest"
        return f"family {family!r} has {len(family)} characters", hint
    return None


def base_fault(family: str) -> tuple[str, str] | None:
    """Return what is wrong with the name of a base image or its family and what to do, or None if it is valid."""
    if len(family) <= NAME_LENGTH and _LEGAL.fullmatch(family):
        return None
    shown = family if len(family) <= NAME_LENGTH else f"{family[:NAME_LENGTH]}..."
    return f"invalid Compute Engine name {shown!r} of a base image", "write an image family, or an image's name alone"
