"""What bakes on Google Cloud fetch from elsewhere: the images of their steps, and Packer's plugins."""

from collections.abc import Iterator, Mapping, Sequence

from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import PLUGIN, PLUGIN_VERSION, steps
from bakery.plan.address import Address, FetchKind, packer_plugin
from bakery.plan.model import ImagePlan
from bakery.recipe.hcl2.render import other_plugins
from bakery.settings import Settings
from bakery.settings.network import mirrored_image


def addresses(settings: Settings, images: Sequence[ImagePlan]) -> Iterator[Address]:
    """Yield the images of the steps of all builds, and the plugins of their templates."""
    mirrors = settings.network.mirrors
    for image in images:
        yield packer_plugin(PLUGIN, PLUGIN_VERSION, mirrors.packer_plugins, image.family)
        for plugin in other_plugins(image.template).values():
            yield packer_plugin(plugin["source"], plugin.get("version", ""), mirrors.packer_plugins, image.family)
        for step in steps(bake_order(image)):
            yield container(str(step.get("name", "")), mirrors.containers, image.family)


def container(reference: str, mirrors: Mapping[str, str], *users: str) -> Address:
    """Return the address of a container image, ``<name>[:<tag>][@sha256:<digest>]``."""
    tagged, _, digest = reference.partition("@")
    tag = tagged.rpartition("/")[2].partition(":")[2]
    at = mirrored_image(reference, mirrors)
    return Address(FetchKind.CONTAINER, reference, at, tag, (digest,) if digest else (), users)
