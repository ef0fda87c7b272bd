"""Addresses that a stack fetches from, with version and checksums if they are known, for ``bakery mirror``."""

import re
from enum import StrEnum
from typing import NamedTuple

from bakery.settings.network import GITHUB, mirrored


class FetchKind(StrEnum):
    """What is at an address. Kinds that can be mirrored are named as in the setting ``mirrors``."""

    APT = "apt"
    CLOUD_IMAGE = "cloudImages"
    CONTAINER = "containers"
    PACKER_PLUGIN = "packerPlugins"
    PULUMI = "pulumiPlugins"
    PYPI = "pypi"
    RECIPE = "recipe"
    SPACK = "spack"


class Address(NamedTuple):
    """An ``url`` as its publisher has it; ``mirror`` is where the stack fetches it, the same without a mirror.

    A container image has its reference in place of a URL, a package of PyPI its purl. ``checksums`` are
    ``<algorithm>:<hex>``, of which a file has one; ``used_by`` names files, images or parts of the bakery.
    """

    kind: FetchKind
    url: str
    mirror: str = ""
    version: str = ""
    checksums: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()


def packer_plugin(source: str, version: str, mirror: str, *users: str) -> Address:
    """Return the address of the checksums of a plugin ``github.com/<owner>/<name>``, which name its archives.

    For a range of versions it is the list of releases. Source: Packer's documentation, "Creating plugins".
    """
    owner, _, name = source.removeprefix("github.com/").partition("/")
    repository = f"packer-plugin-{name}"
    url = f"{GITHUB}/{owner}/{repository}/releases"
    if re.fullmatch(r"v?\d+\.\d+\.\d+", version):
        tag = f"v{version.removeprefix('v')}"
        url += f"/download/{tag}/{repository}_{tag}_SHA256SUMS"
    return Address(FetchKind.PACKER_PLUGIN, url, mirrored(url, {GITHUB: mirror or GITHUB}), version, used_by=users)


def joined(addresses: list[Address]) -> tuple[Address, ...]:
    """Return each address once, with all that use it, ordered by kind and address."""
    found: dict[tuple[str, str, str], Address] = {}
    for one in addresses:
        key = (one.kind, one.url, one.version)
        before = found.get(key, one._replace(used_by=()))
        found[key] = before._replace(used_by=tuple(dict.fromkeys((*before.used_by, *one.used_by))))
    return tuple(found[key] for key in sorted(found))
