"""Base images of the local oven that the settings name, besides the ones that are known without them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from bakery.settings.reader import Reader

CHECKSUM = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
KEY = r"[^/\s]+/[^/\s]+"


class LocalBase(NamedTuple):
    """What a family is baked from on this computer.

    ``image`` is a path, an address, or a name that :mod:`bakery.lock.cloud_images` knows. ``checksum`` is
    ``sha256:<hex>``, ``sha512:<hex>`` or the address of a file of checksums; an address of an image needs one.
    """

    image: str
    checksum: str = ""

    @property
    def remote(self) -> bool:
        """Whether the image is an address."""
        return "://" in self.image

    @property
    def local(self) -> bool:
        """Whether the image is a path: a name has no slash."""
        return "/" in self.image and not self.remote


def read(reader: Reader) -> Mapping[str, LocalBase]:
    """Return the images by ``<project>/<family>``."""
    bases = {}
    for key in reader.values:
        group = reader.group(key)
        base = LocalBase(group.text("image"), group.text("checksum"))
        if not re.fullmatch(KEY, key):
            reader.wrong(
                key, "is not a base image", "write <project>/<family>, as in the cloudbuild.yaml of the recipe"
            )
        if not base.image:
            group.wrong("image", "is missing", "write a path, an address, or a name as ubuntu-24.04")
        if base.remote and not base.checksum:
            group.wrong("checksum", "is missing", "write sha256:<hex>, or the address of the file of checksums")
        if base.checksum and "://" not in base.checksum and not re.fullmatch(CHECKSUM, base.checksum):
            group.wrong("checksum", f"is {base.checksum!r}", "write sha256:<hex>, sha512:<hex> or an address")
        group.done()
        bases[key] = base
    return bases
