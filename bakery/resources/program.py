"""What the Pulumi program declares: the resources of a plan, in the order of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.orders import files as order_files
from bakery.paths import StatePaths
from bakery.plan.model import ImagePlan, Plan
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.resources import continue_on_error, outputs, sdk_noise
from bakery.resources.baked_image import BakedImage
from bakery.resources.fluid_run_test import FluidRunTest
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings

PREFIX = "pulumi-python:dynamic/bakery:"


@dataclass(frozen=True)
class Declared:
    """The resources of one image. ``tested`` is None for a recipe without tests."""

    image: ImagePlan
    baked: BakedImage
    tested: FluidRunTest | None
    promoted: PromotedImage

    @property
    def resources(self) -> tuple[pulumi.Resource, ...]:
        """All that there are, in the order in which they are made."""
        return (self.baked, *([self.tested] if self.tested else []), self.promoted)


def urn(stack: str, project: str, name: str, *types: str) -> str:
    """The URN of a dynamic resource; ``types`` are the classes of its parents and its own, outermost first.

    A resource can't be told its own URN, and needs it to speak on its line.
    """
    return f"urn:pulumi:{stack}::{project}::{'$'.join(PREFIX + kind for kind in types)}::{name}"


def declare(settings: Settings, plan: Plan) -> tuple[Declared, ...]:
    """Declare the resources of all images; writes the orders unless this is a preview.

    A bake waits for the bake of its parent and for nothing else; a test waits for its bake; a promotion waits for its
    test and for the promotion of the parent, so that no family points at an image whose base is not proven.
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
    waits = [tested or baked, *([parent.promoted] if parent else [])]
    promoted = PromotedImage(
        image.family,
        {
            "family": image.family,
            "image": image.name,
            "urn": _urn(image.family, "BakedImage", "PromotedImage"),
            **where,
            **({"consumers": list(consumers)} if consumers else {}),
        },
        pulumi.ResourceOptions(parent=baked, depends_on=waits),
    )
    return Declared(image, baked, tested, promoted)


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
    return urn(pulumi.get_stack(), pulumi.get_project(), name, *types)


def export(settings: Settings, plan: Plan, declared: tuple[Declared, ...]) -> None:
    """Export the stack's outputs, known once all images are promoted.

    A family whose bake, test or promotion failed is shown as it stands: consumers go on with the image before.
    """
    standing = pulumi.Output.all(**{one.image.family: _standing(settings, one) for one in declared})
    pulumi.export(
        "images", standing.apply(lambda found: outputs.images(backend(settings), *_as_it_stands(plan, found)))
    )
    pulumi.export(
        "rcc_tf", standing.apply(lambda found: outputs.rcc_tf(backend(settings), *_as_it_stands(plan, found)))
    )


def _standing(settings: Settings, one: Declared) -> pulumi.Output[list[str]]:
    """Name and digest of the image that the family points at; empty when there is none."""
    promoted = one.promoted.image.apply(lambda name: [name, one.image.digest])
    return promoted.recover(lambda _error: _before(settings, one.image.family))


def _before(settings: Settings, family: str) -> list[str]:
    try:
        shelf = backend(settings).library()
        name = shelf.families().get(family)
        image = shelf.find(name) if name else None
    except BakeryError as error:
        pulumi.log.warn(f"not known where {family} points, left out of the outputs: {error}")
        return []
    return [image.name, image.digest] if image else []


def _as_it_stands(plan: Plan, found: Mapping[str, list[str]]) -> tuple[Plan, dict[str, str]]:
    """The plan with the images that families really point at, and their names by family."""
    there = {family: (held[0], held[1]) for family, held in found.items() if held}
    images = tuple(
        replace(image, name=there[image.family][0], digest=there[image.family][1])
        for image in plan.images
        if image.family in there
    )
    return replace(plan, images=images), {family: name for family, (name, _) in there.items()}
