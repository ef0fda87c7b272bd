"""Where a stack fetches from if it can't reach everything: mirrors of public addresses, and a proxy.

The addresses in recipes, locks and images stay those of the publishers, and :class:`Mirrors` says where each is fetched
instead. So digests don't depend on mirrors. None of them has credentials, which would get into logs, builds and images.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bakery.settings.reader import Reader

NOTHING: Mapping[str, str] = MappingProxyType({})
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The publishers of what has a single one.
GITHUB = "https://github.com"
PULUMI = "https://get.pulumi.com"
SPACK = "https://mirror.spack.io"
DOCKER = "docker.io"  # the registry of images without one
# Without characters that a shell, sed or Packer would read; an origin may have variables of dnf, as $contentdir.
_ADDRESS = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w.~%+:@=/-]*)?")
_ORIGIN = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w.~%+:@=/$-]*)?")
_REGISTRY = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w.-]+)*")
_HOST = re.compile(r"\.?[\w:-]+(?:\.[\w-]+)*(?:/\d+)?")
ADDRESS_HINT = "write http:// or https://, a host and a path"


class Mirrors(NamedTuple):
    """Mirrors by what they have. Mappings are from a publisher's address to that of its mirror, both without a final /.

    ``packer_plugins`` has the paths of GitHub's releases, ``pulumi_plugins`` those of get.pulumi.com, ``pypi`` is a
    simple index (PEP 503), ``spack`` a mirror of sources.
    """

    apt: Mapping[str, str] = NOTHING
    dnf: Mapping[str, str] = NOTHING
    cloud_images: Mapping[str, str] = NOTHING
    containers: Mapping[str, str] = NOTHING
    packer_plugins: str = ""
    pulumi_plugins: str = ""
    pypi: str = ""
    spack: str = ""

    @property
    def packages(self) -> Mapping[str, str]:
        """The mirrors that replace addresses in the sources of an image's package managers."""
        return {**self.apt, **self.dnf}

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all mirrors that are reached over HTTP, sorted."""
        mappings = (self.apt, self.dnf, self.cloud_images)
        single = (self.packer_plugins, self.pulumi_plugins, self.pypi, self.spack)
        found = {one for mapping in mappings for one in mapping.values()} | {one for one in single if "://" in one}
        return tuple(sorted(found))


class NetworkSettings(NamedTuple):
    """The mirrors and the proxy of a stack. ``direct`` are hosts that are reached without the proxy."""

    proxy: str = ""
    direct: tuple[str, ...] = ()
    mirrors: Mirrors = Mirrors()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that programs read; mirrors and the machine itself are reached without the proxy."""
        variables: dict[str, str] = {}
        if self.proxy:
            hosts = {urlsplit(one).hostname or "" for one in self.mirrors.addresses}
            direct = ",".join(dict.fromkeys((*LOOPBACK, *sorted(hosts), *self.direct)))
            variables |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), self.proxy)
            variables |= dict.fromkeys(("no_proxy", "NO_PROXY"), direct)
        if index := self.mirrors.pypi:
            variables |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
            if index.startswith("http:"):  # else pip refuses it
                variables["PIP_TRUSTED_HOST"] = urlsplit(index).netloc
        return variables

    def seen_from(self, host: str) -> "NetworkSettings":
        """Return the network as a machine sees it that knows this computer as ``host``."""
        changed: dict[str, Any] = {
            name: seen_from(host, value)
            if isinstance(value, str)
            else {key: seen_from(host, one) for key, one in value.items()}
            for name, value in self.mirrors._asdict().items()
        }
        return self._replace(proxy=seen_from(host, self.proxy), mirrors=Mirrors(**changed))


DIRECT = NetworkSettings()  # without mirrors and a proxy


def seen_from(host: str, address: str) -> str:
    """Return an address as a machine sees it that knows this computer as ``host``: one of loopback is on the latter."""
    parts = urlsplit(address)
    if parts.hostname not in LOOPBACK:
        return address
    return parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl()


def mirrored(address: str, mirrors: Mapping[str, str]) -> str:
    """Return where an address is fetched: at the mirror of the longest origin that it begins with, or at itself."""
    for origin in sorted(mirrors, key=len, reverse=True):
        if address == origin or address.startswith(f"{origin}/"):
            return mirrors[origin] + address.removeprefix(origin)
    return address


def mirrored_image(reference: str, mirrors: Mapping[str, str]) -> str:
    """Return where a container image is pulled; one without a host is Docker's, as ``docker pull`` reads it."""
    first, slash, _ = reference.partition("/")
    full = reference
    if not slash:
        full = f"{DOCKER}/library/{reference}"
    elif not {".", ":"} & set(first) and first != "localhost":
        full = f"{DOCKER}/{reference}"
    found = mirrored(full, mirrors)
    return reference if found == full else found


def read(top: Reader, group: Reader) -> NetworkSettings:
    """Return ``proxy``, ``noProxy`` and the group ``mirrors``; every invalid value becomes a problem."""
    mirrors = Mirrors(
        apt=_pairs(group.group("apt"), _address, _ORIGIN),
        dnf=_pairs(group.group("dnf"), _address, _ORIGIN),
        cloud_images=_pairs(group.group("cloudImages"), _address, _ORIGIN),
        containers=_pairs(group.group("containers"), _registry, _REGISTRY),
        packer_plugins=_address(group, "packerPlugins"),
        pulumi_plugins=_address(group, "pulumiPlugins"),
        pypi=_address(group, "pypi"),
        spack=_address(group, "spack"),
    )
    direct = top.words("noProxy")
    for host in direct:
        if not _HOST.fullmatch(host):
            top.wrong("noProxy", f"has {host!r}", "write hosts, as .example.com or 10.0.0.7")
    return NetworkSettings(_address(top, "proxy"), direct, mirrors)


def _address(reader: Reader, key: str) -> str:
    """Return an address without a final /. No problem has the value, which may be a password."""
    text = reader.text(key).rstrip("/")
    if "@" in text.partition("://")[2].partition("/")[0]:
        hint = "remove it: logs, builds and images could show it; name a server that its clients need no login for"
        reader.wrong(key, "has a user name or a password", hint)
    elif text and not _ADDRESS.fullmatch(text):
        reader.wrong(key, "is not an address", ADDRESS_HINT)
    return text


def _registry(reader: Reader, key: str) -> str:
    text = reader.text(key)
    if text and not _REGISTRY.fullmatch(text):
        reader.wrong(key, "is not a registry", "write a host and a path without https://, as mirror.example.com/docker")
    return text


def _pairs(group: Reader, read_one: Callable[[Reader, str], str], origin: re.Pattern[str]) -> Mapping[str, str]:
    """Return a mapping of origins to mirrors. An image gets its origins back, so no two have the same mirror."""
    pairs: dict[str, str] = {}
    for key in group.values:
        mirror = read_one(group, key)
        if not origin.fullmatch(key):
            group.wrong(key, "is not the address of a publisher", ADDRESS_HINT)
        elif mirror in pairs.values():
            group.wrong(key, "has the mirror of another address", "name one mirror for each")
        elif mirror:
            pairs[key.rstrip("/")] = mirror
    return pairs
