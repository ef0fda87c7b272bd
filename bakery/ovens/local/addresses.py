"""What the local oven fetches from other computers: base images, and Packer's plugin."""

from collections.abc import Iterator, Sequence

from bakery.errors import InputError, Problem
from bakery.host.mirror import of_release
from bakery.ovens.local import base_image
from bakery.ovens.local.packer_plugin import PLUGIN, VERSION
from bakery.plan.address import Address, FetchKind, packer_plugin
from bakery.plan.model import ImagePlan
from bakery.plan.summary import Base
from bakery.settings import Settings
from bakery.settings.network import mirrored


def addresses(settings: Settings, images: Sequence[ImagePlan]) -> Iterator[Address]:
    """Yield what base images come from, and the plugin that Packer needs. Raises InputError, BakeFailed."""
    for image in images:
        if image.base.external:
            yield from _base(settings, image.base)
    mirror = settings.network.mirrors.packer_plugins
    yield packer_plugin(PLUGIN, VERSION, mirror, "the local oven, with Packer 1.10 or newer")


def _base(settings: Settings, base: Base) -> Iterator[Address]:
    mirrors, used = settings.network.mirrors, (f"{base.project}/{base.family}",)
    if base.digest.startswith("unlocked"):
        raise InputError([Problem(settings.lock.name, 1, f"{used[0]} is not locked", "run: bakery lock")])
    if base.origin:
        if "://" in base.origin and not base.origin.startswith("file:"):
            at = mirrored(base.origin, mirrors.cloud_images)
            yield Address(FetchKind.CLOUD_IMAGE, base.origin, at, base.name, (base.digest,), used)
        return
    suite = base_image.release(base)
    index = base.digest.removeprefix("inrelease:")
    for source in of_release(suite, settings.local.mirror, mirrors.apt):
        url = f"{source.uri.rstrip('/')}/dists/{source.suite}/InRelease"
        known = (f"sha256:{index}",) if source.suite == suite and len(index) == 64 else ()
        yield Address(FetchKind.APT, url, mirrored(url, mirrors.apt), base.name if known else "", known, used)
