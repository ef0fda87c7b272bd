"""The resources that the Pulumi program declares for a plan, in the order of the graph, and the stack's outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.errors import BakeryError
from bakery.orders import files as order_files
from bakery.paths import StatePaths
from bakery.plan.model import ImagePlan, Plan
from bakery.plan.rcc_tf import variables
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.resources import continue_on_error, sdk_noise
from bakery.resources.baked_image import BakedImage
from bakery.resources.fluid_run_test import FluidRunTest
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings

PREFIX = "pulumi-python:dynamic/bakery:"


@dataclass(frozen=True)
class Declared:
    """The resources of one image. ``tested`` is None for a recipe without tests.

    ``proofs`` maps the image's ancestors and itself to the digests of their tests, "" for a recipe without tests.
    """

    image: ImagePlan
    baked: BakedImage
    tested: FluidRunTest | None
    promoted: PromotedImage
    proofs: Mapping[str, str]

    @property
    def resources(self) -> tuple[pulumi.Resource, ...]:
        """Return the resources in the order in which they are created."""
        return (self.baked, *([self.tested] if self.tested else []), self.promoted)


def declare(settings: Settings, plan: Plan) -> tuple[Declared, ...]:
    """Declare the resources of all images, and write the orders unless this is a preview.

    A bake depends only on the bake of its parent, and a test only on its bake. A promotion depends on its test and on
    the promotion of the parent, so that no family points at an image whose base has not passed its tests.
    """
    sdk_noise.silence_debug()
    ready = backend(settings).declare(plan)
    continue_on_error.continue_on_error()
    made: dict[str, Declared] = {}
    for image in plan.images:
        if not pulumi.runtime.is_dry_run():
            order_files.write(StatePaths(settings.state), image)
        parent = None if image.base.external else made.get(image.base.name)
        made[image.name] = _one(image, parent, ready, settings)
    return tuple(made.values())


def _one(image: ImagePlan, parent: Declared | None, ready: Sequence[pulumi.Resource], settings: Settings) -> Declared:
    where, consumers = backend(settings).location, settings.google.consumer_members
    baked = BakedImage(
        image.family,
        {
            "name": image.name,
            "digest": image.digest[:DIGEST_SHOWN],
            "family": image.family,
            "inputs": dict(image.inputs),
            "urn": _urn(image.family, "BakedImage"),
            **where,
        },
        pulumi.ResourceOptions(depends_on=[*ready, *([parent.baked] if parent else [])]),
    )
    tested = _tested(image, baked, where)
    if tested is None:
        pulumi.log.warn(f"{image.package} has no fluidrun.yaml: {image.family} is promoted untested", baked)
    tests = image.tests.digest[:DIGEST_SHOWN] if image.tests else ""
    proofs = {**(parent.proofs if parent else {}), image.name: tests}
    waits = [tested or baked, *([parent.promoted] if parent else [])]
    promoted = PromotedImage(
        image.family,
        {
            "family": image.family,
            "image": image.name,
            "proofs": proofs,
            "urn": _urn(image.family, "BakedImage", "PromotedImage"),
            **where,
            **({"consumers": list(consumers)} if consumers else {}),
        },
        pulumi.ResourceOptions(parent=baked, depends_on=waits),
    )
    return Declared(image, baked, tested, promoted, proofs)


def _tested(image: ImagePlan, baked: BakedImage, where: Mapping[str, str]) -> FluidRunTest | None:
    if image.tests is None:
        return None
    return FluidRunTest(
        image.family,
        {
            "image": image.name,
            "tests": image.tests.digest[:DIGEST_SHOWN],
            "inputs": dict(image.tests.inputs),
            "urn": _urn(image.family, "BakedImage", "FluidRunTest"),
            **where,
        },
        pulumi.ResourceOptions(parent=baked, depends_on=[baked]),
    )


def _urn(name: str, *types: str) -> str:
    """Return the URN of a dynamic resource; ``types`` are the classes of its parents and its own, outermost first.

    Pulumi does not pass a resource its own URN, which it needs to show a status on its line.
    """
    kinds = "$".join(PREFIX + kind for kind in types)
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{kinds}::{name}"


def export(settings: Settings, plan: Plan, declared: tuple[Declared, ...]) -> None:
    """Export the stack's outputs; they are known after the promotion of all images.

    If the bake, test or promotion of a family failed, its outputs are those of the image that it still points at.
    """
    chosen = backend(settings)
    known = pulumi.Output.all(**{one.image.family: _pointed_at(settings, one) for one in declared})
    promoted = known.apply(lambda images: {family: image for family, image in images.items() if image})
    pulumi.export("images", promoted.apply(lambda images: images_output(chosen, plan, images)))
    pulumi.export("rcc_tf", promoted.apply(lambda images: rcc_tf_output(chosen, plan, images)))


def _pointed_at(settings: Settings, one: Declared) -> pulumi.Output[list[str]]:
    """Return name and digest of the image that the family points at; empty if none."""
    promoted = one.promoted.image.apply(lambda name: [name, one.image.digest])
    return promoted.recover(lambda _error: _still_pointed_at(settings, one.image.family))


def _still_pointed_at(settings: Settings, family: str) -> list[str]:
    try:
        library = backend(settings).library()
        name = library.families().get(family)
        image = library.find(name) if name else None
    except BakeryError as error:
        pulumi.log.warn(f"cannot read which image {family} points at, so the outputs leave it out: {error}")
        return []
    return [image.name, image.digest] if image else []


def images_output(chosen: Backend, plan: Plan, promoted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Return the output ``images``: for each promoted family the image that it points at.

    ``promoted`` maps the families that point at an image to its name and digest.
    """
    return {
        image.family: {
            "image": name,
            "digest": digest,
            "link": chosen.image_link(name, digest),
            "package": image.package,
            "variant": image.variant,
            "tested": image.tests is not None,
        }
        for image in plan.images
        if image.family in promoted
        for name, digest in [promoted[image.family]]
    }


def rcc_tf_output(chosen: Backend, plan: Plan, promoted: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the output ``rcc_tf``: the variables of an rcc-tf configuration, empty if no image is promoted."""
    links = {family: chosen.image_link(name, digest) for family, (name, digest) in promoted.items()}
    return variables(plan.images, links, next(iter(chosen.settings.google.zones), ""))
