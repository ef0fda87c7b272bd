"""What a newer base image changes, by the packages that its publisher lists of both images.

* Ubuntu's cloud images have a manifest beside them, with a package and its version in each line.
* Images of Debian have a day in their names, and snapshot.debian.org has the archives as they were: an address with a
  time (``/archive/debian/20260711T235959Z/``) is that of the newest state before it. Compared are the packages that
  each Debian has, by their priority, and the kernel. Images that are made daily have what was in the archive of
  security updates, too; those that the local oven makes from a release get that when they are made.
"""

import lzma
import re
from collections.abc import Iterator, Mapping

from bakery.errors import BakeryError
from bakery.host.hardware import ARM_FAMILY
from bakery.host.mirror import RELEASES
from bakery.lock.model import LockedBase
from bakery.lock.resolve import fetch
from bakery.settings import Mirrors
from bakery.settings.network import mirrored

SNAPSHOT = "https://snapshot.debian.org/archive"
PRIORITIES = frozenset({"required", "important", "standard"})
KERNEL = "linux-image-"
_UBUNTU = re.compile(r"(.*/ubuntu-[^/]*)\.img")
_DEBIAN = re.compile(rf"(debian-\d+)({ARM_FAMILY})?(?:-[a-z]+)?(?:{ARM_FAMILY})?-v?(\d{{8}})(?:-\d+)?")


def changes(before: LockedBase, after: LockedBase, mirrors: Mirrors) -> tuple[str, ...] | None:
    """Return a line for each package that differs, sorted; None if the publisher does not list the packages of both.

    Best effort: a publisher that does not answer, or does not have a list any more, prevents no new pin.
    """
    try:
        old, new = packages(before, mirrors), packages(after, mirrors)
    except (BakeryError, lzma.LZMAError):
        return None
    if not old or not new:
        return None
    return tuple(
        f"{name} {old.get(name, '(new)')} -> {new.get(name, '(removed)')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def packages(base: LockedBase, mirrors: Mirrors) -> Mapping[str, str]:
    """Return the versions of a base image's packages by name; empty if they are not listed. Raises Uncertain."""
    if listed := _UBUNTU.fullmatch(base.origin):
        return _manifest(_text(f"{listed[1]}.manifest", mirrors.cloud_images))
    match = _DEBIAN.fullmatch(base.name)
    if match is None or match[1] not in RELEASES:
        return {}
    suite, place = RELEASES[match[1]], "binary-arm64" if ARM_FAMILY in base.name else "binary-amd64"
    archives = {"debian": suite}
    if not base.identity.startswith("inrelease:"):
        archives["debian-security"] = f"{suite}-security"
    found: dict[str, str] = {}
    for archive, dist in archives.items():
        index = f"{SNAPSHOT}/{archive}/{match[3]}T235959Z/dists/{dist}/main/{place}/Packages.xz"
        text = lzma.decompress(fetch(mirrored(index, mirrors.apt))).decode("utf-8", "replace")
        found |= _index(text)
    return found


def _text(address: str, mirrors: Mapping[str, str]) -> str:
    return fetch(mirrored(address, mirrors)).decode("utf-8", "replace")


def _manifest(text: str) -> dict[str, str]:
    return {words[0]: words[-1] for line in text.splitlines() if len(words := line.split("\t")) > 1}


def _index(text: str) -> dict[str, str]:
    """Return the packages of an archive's index that each image has."""
    return {
        fields["Package"]: fields["Version"]
        for fields in _stanzas(text)
        if fields.get("Priority") in PRIORITIES or fields.get("Package", "").startswith(KERNEL)
    }


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for stanza in text.split("\n\n"):
        yield dict(re.findall(r"(?m)^(Package|Version|Priority): (.*)$", stanza))
