"""Cloud images that the local oven bakes from: where their publishers keep them, and which one is the newest.

A publisher either has a folder for each version, which a listing names, or all versions in one folder; both have a file
of checksums, which also says which images exist. The layouts are those that the templates and update scripts of Lima
(github.com/lima-vm/lima, templates/_images and hack/update-template-*.sh, read on 2026-11-30) download from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from bakery.errors import InputError, Problem
from bakery.host.clock import utc_now
from bakery.host.download import checksum_of, read_text
from bakery.host.hardware import ARM_FAMILY
from bakery.host.mirror import RELEASES
from bakery.lock import checksums
from bakery.lock.model import LockedBase
from bakery.paths import below
from bakery.settings import LocalBase
from bakery.settings.network import NOTHING, mirrored

AGAIN = "try again later, or name the image in local.bases"
NAME_LENGTH = 63  # of an image on Compute Engine, whose rules hold for all names of images
_LINK = re.compile(r"""href=["']?(?:\./)?([^"'/>\s]+)/""")


@dataclass(frozen=True)
class Published:
    """Where the images of a release are.

    ``folder`` is the address of a folder, ``releases`` a pattern of its folders, one for each version (empty: the
    images are in ``folder`` itself). ``checksums`` is a file beside the images, ``file`` the pattern of an image there.
    The first group of one of the patterns is the version.
    """

    folder: str
    checksums: str
    file: str
    releases: str = ""


_UBUNTU = r"release-(\d{8}(?:\.\d+)?)"
_DEBIAN = r"(\d{8}-\d+)"


def _published(end: str, debian: str, kernel: str) -> dict[str, Published]:
    """Return the images of an architecture, whose names ``end`` so; Debian and the kernel name it differently."""
    ubuntu = {
        f"ubuntu-{number}": Published(
            *(f"https://cloud-images.ubuntu.com/releases/{suite}/", "SHA256SUMS"),
            *(rf"ubuntu-{re.escape(number)}-server-cloudimg-{debian}\.img", _UBUNTU),
        )
        for number, suite in (("22.04", "jammy"), ("24.04", "noble"))
    }
    rocky = Published(
        *(f"https://dl.rockylinux.org/pub/rocky/9/images/{kernel}/", "CHECKSUM"),
        rf"Rocky-9-GenericCloud-Base-(9\.\d+-\d{{8}}\.\d+)\.{kernel}\.qcow2",
    )
    alma = Published(
        *(f"https://repo.almalinux.org/almalinux/9/cloud/{kernel}/images/", "CHECKSUM"),
        rf"AlmaLinux-9-GenericCloud-(9\.\d+-\d{{8}}(?:\.\d+)?)\.{kernel}\.qcow2",
    )
    debians = {
        name: Published(
            *(f"https://cloud.debian.org/images/cloud/{suite}/", "SHA512SUMS"),
            *(rf"{name}-genericcloud-{debian}-[\d-]+\.qcow2", _DEBIAN),
        )
        for name, suite in RELEASES.items()
    }
    images = {**ubuntu, "rocky-9": rocky, "alma-9": alma, **debians}
    return {f"{name}{end}": image for name, image in images.items()}


READY = {**_published("", "amd64", "x86_64"), **_published(ARM_FAMILY, "arm64", "aarch64")}
# Families of Google's public images that are baked from a cloud image of the same distribution. Debian's are made with
# mmdebstrap, unless the settings name an image.
FAMILIES = {
    "ubuntu-os-cloud/ubuntu-2204-lts": "ubuntu-22.04",
    "ubuntu-os-cloud/ubuntu-2404-lts-amd64": "ubuntu-24.04",
    "rocky-linux-cloud/rocky-linux-9": "rocky-9",
    "rocky-linux-cloud/rocky-linux-9-optimized-gcp": "rocky-9",
    "almalinux-cloud/almalinux-9": "alma-9",
}
FAMILIES |= {f"{key.removesuffix('-amd64')}{ARM_FAMILY}": f"{name}{ARM_FAMILY}" for key, name in FAMILIES.items()}


class CloudImages:
    """Resolves families to cloud images: those of the settings, then the ones that are known.

    ``root`` is the checkout, where relative paths begin.
    """

    def __init__(
        self,
        configured: Mapping[str, LocalBase],
        root: Path,
        ready: Mapping[str, Published] = READY,
        *,
        mirrors: Mapping[str, str] = NOTHING,
    ) -> None:
        self.configured = configured
        self.root = root
        self.ready = ready
        self.mirrors = mirrors

    def find(self, family: str, project: str) -> LocalBase | None:
        """Return what the family is baked from; None if it is not a cloud image."""
        key = f"{project}/{family}"
        return self.configured.get(key) or (LocalBase(FAMILIES[key]) if key in FAMILIES else None)

    def resolve(self, family: str, base: LocalBase) -> LockedBase:
        """Return the newest image. Raises InputError if there is none, InfrastructureFailed without an answer."""
        if base.remote:
            address = base.image
            file = unquote(PurePosixPath(urlsplit(address).path).name)
            checksum = self._listed(base.checksum, file) if "://" in base.checksum else base.checksum
            return _locked(_stem(file), checksum, address)
        if base.local:
            return self._path(family, base)
        if base.image not in self.ready:
            hint = f"write a path with a slash, an address, or one of {', '.join(sorted(self.ready))}"
            raise _problem(f"no cloud image is known as {base.image} (local.bases)", hint)
        return newest(base.image, self.ready[base.image], self.mirrors)

    def _listed(self, address: str, file: str) -> str:
        return _only(checksums.parse(read_text(mirrored(address, self.mirrors))), file, address)

    def _path(self, family: str, base: LocalBase) -> LockedBase:
        file = below(self.root, base.image)
        try:
            checksum = checksum_of(file, base.checksum.partition(":")[0] or "sha256")
        except OSError as error:
            raise _problem(f"{base.image} can't be read: {error.strerror}", "fix local.bases") from error
        if base.checksum not in ("", checksum):
            raise _problem(f"the checksum of {base.image} is {checksum}, not {base.checksum}", "fix local.bases")
        return _locked(family, checksum, base.image)


def newest(name: str, published: Published, mirrors: Mapping[str, str] = NOTHING) -> LockedBase:
    """Return the newest image that a publisher, or its mirror, has. Raises InputError, InfrastructureFailed."""
    folder, version = published.folder, ""
    if published.releases:
        names = {match for link in _LINK.findall(read_text(mirrored(folder, mirrors))) if (match := unquote(link))}
        dated = {found[1]: link for link in names if (found := re.fullmatch(published.releases, link))}
        if not dated:
            raise _problem(f"{folder} lists no version of {name}", AGAIN)
        version = max(dated, key=_numbers)
        folder = urljoin(folder, f"{dated[version]}/")
    sums = checksums.parse(read_text(mirrored(folder + published.checksums, mirrors)))
    images = {found: file for file in sums if (found := re.fullmatch(published.file, file))}
    if not images:
        raise _problem(f"{folder}{published.checksums} lists no image of {name}", AGAIN)
    chosen = max(images, key=lambda found: _numbers("".join(found.groups())))
    checksum = _only(sums, images[chosen], folder + published.checksums)
    return _locked(f"{name}-{version or chosen[1]}", checksum, folder + images[chosen], marked=False)


def _only(sums: Mapping[str, set[str]], file: str, address: str) -> str:
    """Return the checksum of a file, the longest of several kinds; one kind can't have two."""
    found = sorted(sums.get(file, ()), key=len)
    if not found:
        raise _problem(f"{address} lists no checksum of {file}", "fix the address of the image or of the checksums")
    if [len(one) for one in found].count(len(found[-1])) > 1:
        raise _problem(f"{address} lists two checksums of {file}", "write the right one: checksum: sha256:<hex>")
    return found[-1]


def _locked(title: str, checksum: str, source: str, *, marked: bool = True) -> LockedBase:
    """Return the base with a valid name; one that is ``marked`` has a part of the checksum, as it has no version."""
    end = f"-{checksum.partition(':')[2][:8]}" if marked else ""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    name = name if name[:1].isalpha() else f"image-{name}"
    return LockedBase(name[: NAME_LENGTH - len(end)].rstrip("-") + end, checksum, utc_now("seconds"), source)


def _stem(file: str) -> str:
    return re.sub(r"(\.(qcow2|img|raw|xz|zst|gz))+$", "", file)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _problem(message: str, hint: str) -> InputError:
    return InputError([Problem("bakery.lock", 1, message, hint)])
