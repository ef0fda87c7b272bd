"""The resources that the Pulumi program declares for a plan, in the order of the graph."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pulumi
from pulumi.runtime import settings as pulumi_settings

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.library.copies import follow
from bakery.library.revocation import enforce, in_force
from bakery.paths import StatePaths
from bakery.plan.model import ImagePlan
from bakery.preview.targets import waits
from bakery.resources import continue_on_error, failed_deletion, young_grants
from bakery.resources.baked_image import BakedImage
from bakery.resources.fluid_run_test import FluidRunTest
from bakery.resources.images import ImageResources
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings

AT_ONCE = 32  # operations of an engine whose limit is not known, or lower


@dataclass(frozen=True)
class Declared:
    """The resources of one image.

    ``tested`` is None for a recipe without tests, ``promoted`` if the family waits for an approval and points at
    nothing. ``proving`` are those that the promotion of a child waits for, as its parent has to be proven. ``others``
    are the promotions of the family's channels, and of copies by their addresses.
    """

    image: ImagePlan
    baked: BakedImage
    tested: FluidRunTest | None
    promoted: PromotedImage | None
    proving: tuple[pulumi.Resource, ...]
    others: Mapping[str, PromotedImage] = field(default_factory=dict)

    @property
    def resources(self) -> tuple[pulumi.Resource, ...]:
        """Return the resources in the order in which they are created."""
        own = (self.baked, self.tested, self.promoted, *self.others.values())
        return tuple(one for one in own if one is not None)


def declare(images: ImageResources, after: Sequence[pulumi.Resource] = ()) -> Coroutine[Any, Any, tuple[Declared, ...]]:
    """Declare what the stack needs, then, when the result is awaited, the resources of all images.

    A bake depends only on the bake of its parent, and a test only on its bake. A promotion depends on its test and on
    the promotion of the parent, so that no family points at an image whose base has not passed its tests. The promotion
    of another image (a pin, or the last approved one) waits for none of them. All wait for ``after``. Raises at once,
    not when it is awaited, InputError for pins that cannot be honoured, and Uncertain.
    """
    settings = images.settings
    if not pulumi.runtime.is_dry_run():
        _enforce(settings)
        failed_deletion.end_program()
        young_grants.wait(StatePaths(settings.state).grants)
    images.held  # noqa: B018  raises
    return _declare(images, [*backend(settings).declare(images.plan), *after])


async def _declare(images: ImageResources, ready: Sequence[pulumi.Resource]) -> tuple[Declared, ...]:
    continue_on_error.continue_on_error()
    return await in_turn(images.plan.images, partial(_one, images, ready))


async def in_turn(
    images: Sequence[ImagePlan], declare_one: Callable[[ImagePlan, Declared | None], Declared]
) -> tuple[Declared, ...]:
    """Declare each image when its parent is baked and the engine is about to have time for it.

    A resource without an answer of the engine takes much more memory than one with it. As many images wait for their
    bakes and tests as the engine has operations at once. Promotions do not count: one may wait for the tests of its
    parent, which another image must not wait for.
    """
    made: dict[str, Declared] = {}
    baked = {image.name: asyncio.Event() for image in images}
    room = asyncio.Semaphore(max(AT_ONCE, getattr(pulumi_settings.SETTINGS, "parallel", None) or 0))

    async def one(image: ImagePlan) -> None:
        parent = "" if image.base.external else image.base.name
        if parent in baked:
            await baked[parent].wait()
        async with room:
            made[image.name] = declare_one(image, made.get(parent))
            await _answered(made[image.name].baked)
            baked[image.name].set()
            await _answered(made[image.name].tested)

    await asyncio.gather(*map(one, images))
    return tuple(made[image.name] for image in images)


def _enforce(settings: Settings) -> None:
    """Let revocations whose time has come take effect. The resources report a library that cannot be read."""
    try:
        library = backend(settings).existing_library()
        if library is None or not in_force(library.revocations(), library.now()):
            return
    except BakeryError:
        return
    try:
        done = enforce(library, partial(waits, settings))
        problems = follow(library).problems if done.moved or done.obsolete else ()
    except BakeryError as error:
        return pulumi.log.warn(f"revoked images may still be in use: {error.message}")
    for family, (before, after) in done.moved.items():
        pulumi.log.info(f"{family}: {before} is revoked; it points at {after or 'no image'} now")
    for problem in problems:
        pulumi.log.warn(f"copies of revoked images may still be in use: {problem.message}")


async def _answered(resource: pulumi.Resource | None) -> None:
    """Wait until the engine has answered for a resource; it reports a failure itself."""
    with contextlib.suppress(Exception):
        await (resource.urn.future() if resource else asyncio.sleep(0))


def _one(
    images: ImageResources, ready: Sequence[pulumi.Resource], image: ImagePlan, parent: Declared | None
) -> Declared:
    baked = images.bake(image, [*ready, *([parent.baked] if parent else [])])
    tested = images.test(image, baked)
    after = (tested or baked, *(parent.proving if parent else ()))
    promotions = dict(images.promote(image, baked, after))
    promoted = promotions.pop(image.family, None)
    follows = promoted is not None and image.family not in images.held
    return Declared(image, baked, tested, promoted, (promoted,) if promoted and follows else after, promotions)
