"""What the state of a stack believes in and the library no longer has: an image file that was deleted, lost records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def lost(deployment: Mapping[str, Any], images: Iterable[str], families: Mapping[str, str]) -> list[str]:
    """Images and families of the stack that are gone, a few words each; ``deployment`` is the engine's state.

    A family that points at another image is not lost: another stack, or a person, wanted it so.
    """
    there = set(images)
    found = []
    for resource in deployment.get("resources") or ():
        kind, told = str(resource.get("type", "")).rpartition(":")[2], resource.get("outputs") or {}
        if kind == "BakedImage" and told.get("name") not in there:
            found.append(f"the image {told.get('name')}")
        elif kind == "PromotedImage" and told.get("family") not in families:
            found.append(f"the family {told.get('family')}")
    return found
