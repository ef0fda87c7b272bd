"""The resources that the Pulumi program declares for a plan, in the order of the graph."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pulumi
from pulumi.runtime import settings as pulumi_settings

from bakery.backends import backend
from bakery.errors import BakeryError, InputError, Uncertain
from bakery.library.copies import follow
from bakery.library.derived import derived_name
from bakery.library.revocation import enforce, in_force
from bakery.orders import files as order_files
from bakery.paths import StatePaths
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.model import ImagePlan, Plan, lineage
from bakery.plan.plan import by_family
from bakery.preview import snapshot
from bakery.preview.check import check
from bakery.preview.cluster_fit import running
from bakery.preview.copies import copied
from bakery.preview.model import Target
from bakery.preview.software_fit import RunningCluster
from bakery.preview.targets import families_of, hours, proofs, targets, waits
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.resources import continue_on_error, failed_deletion, sdk_noise, young_grants
from bakery.resources.baked_image import BakedImage
from bakery.resources.fluid_run_test import FluidRunTest
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings
from bakery.settings.copies import address

PREFIX = "pulumi-python:dynamic/bakery:"
# What a family shall point at instead of its recipe's image (None: at that), and the proofs that the image needs.
Wanted = tuple[Target | None, Mapping[str, str]]
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


async def declare(settings: Settings, plan: Plan) -> tuple[Declared, ...]:
    """Declare the resources of all images, and write the orders unless this is a preview.

    A bake depends only on the bake of its parent, and a test only on its bake. A promotion depends on its test and on
    the promotion of the parent, so that no family points at an image whose base has not passed its tests. The promotion
    of another image (a pin, or the last approved one) waits for none of them. Raises InputError for pins that cannot be
    honoured.
    """
    sdk_noise.silence_debug()
    sdk_noise.omit_stack_traces()
    if not pulumi.runtime.is_dry_run():
        _enforce(settings)
        failed_deletion.end_program()
        young_grants.wait(StatePaths(settings.state).grants)
    held = _held(settings, plan)
    ready = backend(settings).declare(plan)
    continue_on_error.continue_on_error()
    for image in plan.images:
        if not pulumi.runtime.is_dry_run():
            order_files.write(StatePaths(settings.state), image)
    families, points = by_family(plan), _points(settings, plan)

    def one(image: ImagePlan, parent: Declared | None) -> Declared:
        own = (None, image.taken.proofs if image.taken else _proofs(image, families))
        wanted = {family: held.get(family, own) for family in points[image.name]}
        where = running(settings.cluster, plan.images, image.family)
        return _one(image, parent, ready, settings, wanted, cluster=where)

    return await in_turn(plan.images, one)


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


def _held(settings: Settings, plan: Plan) -> dict[str, Wanted]:
    """Map the families that do not follow their recipes to targets with proofs. Raises InputError, Uncertain."""
    asked = settings.pins or settings.approval or settings.channels or settings.rollout
    held = snapshot.read(settings, backend(settings).existing_library if asked else lambda: None, ())
    if problems := check(settings, plan.images, None if held.problems else held):
        raise InputError(problems)
    if held.problems and not (pulumi.runtime.is_dry_run() and not (settings.approval or settings.rollout)):
        raise Uncertain(f"it cannot be known which images families point at: {held.problems[0].message}")
    images = families_of(settings, plan.images)
    return {
        family: (target, proofs(target.image, images, held) if target.image else {})
        for family, target in targets(settings, plan.images, held).items()
        if target.image != images[family].name
    }


def _points(settings: Settings, plan: Plan) -> dict[str, list[str]]:
    """Map the images to their families and channels."""
    found: dict[str, list[str]] = {image.name: [] for image in plan.images}
    for family, image in families_of(settings, plan.images).items():
        found[image.name].append(family)
    return found


def _proofs(image: ImagePlan, images: Mapping[str, ImagePlan]) -> dict[str, str]:
    """Map the image's ancestors, the oldest first, and itself to the digests of their tests ("" without tests)."""
    line = reversed([*lineage(image, images)])
    return {one.name: one.tests.digest[:DIGEST_SHOWN] if one.tests else "" for one in line}


def _one(
    image: ImagePlan,
    parent: Declared | None,
    ready: Sequence[pulumi.Resource],
    settings: Settings,
    wanted: Mapping[str, Wanted],
    *,
    cluster: RunningCluster | None,
) -> Declared:
    """Declare the resources of an image; ``wanted`` is what its family and its channels shall point at.

    ``cluster`` is one that runs, which the image has to fit.
    """
    where = backend(settings).location
    baked = BakedImage(
        image.family,
        {
            "name": image.name,
            "digest": image.digest[:DIGEST_SHOWN],
            "family": image.family,
            "inputs": dict(image.inputs),
            "labels": {key: value for key, value in image.labels.items() if key != REVISION_LABEL},
            "urn": _urn(image.family, "BakedImage"),
            **where,
        },
        pulumi.ResourceOptions(depends_on=[*ready, *([parent.baked] if parent else [])]),
    )
    tested = _tested(image, baked, where)
    if tested is None:
        pulumi.log.warn(f"{image.package} has no fluidrun.yaml: {image.family} is promoted untested", baked)
    waits = (tested or baked, *(parent.proving if parent else ()))
    promotions = {}
    for family, (target, proven) in wanted.items():
        if target and target.waits and not pulumi.runtime.is_dry_run():  # a preview shows the decision
            pulumi.log.info(f"{image.name} {target.why}", baked)
        source = target.image if target else image.name
        if source:
            props = _promotion(image.family, family, source, proven, settings)
            props |= {"cluster": cluster._asdict()} if cluster else {}
            options = pulumi.ResourceOptions(parent=baked, depends_on=[baked] if target else waits)
            promotions[family] = PromotedImage(family, props, options)
            after = pulumi.ResourceOptions(parent=baked, depends_on=[promotions[family]])
            for _, project in copied(settings, [family]):
                name = address(family, project)
                promotions[name] = PromotedImage(name, _of_copy(name, props), after)
    promoted = promotions.pop(image.family, None)
    follows = promoted is not None and wanted[image.family][0] is None
    return Declared(image, baked, tested, promoted, (promoted,) if promoted and follows else waits, promotions)


def _tested(image: ImagePlan, baked: BakedImage, where: Mapping[str, str]) -> FluidRunTest | None:
    if image.tests is None:
        return None
    return FluidRunTest(
        image.family,
        {
            "image": image.name,
            "tests": image.tests.digest[:DIGEST_SHOWN],
            "inputs": dict(image.tests.inputs),
            **({"smoke": image.smoke.digest[:DIGEST_SHOWN]} if image.smoke else {}),
            "urn": _urn(image.family, "BakedImage", "FluidRunTest"),
            **where,
        },
        pulumi.ResourceOptions(parent=baked, depends_on=[baked]),
    )


def _promotion(recipe: str, family: str, source: str, proven: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """Return the inputs of a promotion: of the image ``source`` of the recipe's family, or of one made from it."""
    consumers = settings.google.consumer_members
    channel = {"image": derived_name(source, family), "source": source}
    first = settings.rollout and not hours(settings, family)
    return {
        "family": family,
        "image": source,
        "proofs": dict(proven),
        "urn": _urn(family, "BakedImage", "PromotedImage"),
        **backend(settings).location,
        **({"consumers": list(consumers)} if consumers else {}),
        **(channel if family != recipe else {}),
        **({"first": True} if first else {}),
    }


def _of_copy(name: str, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a copy's promotion, from those of the ``original``; ``name`` is the family's address."""
    kept = {key: value for key, value in original.items() if key not in ("consumers", "source", "first")}
    return {**kept, "family": name, "urn": _urn(name, "BakedImage", "PromotedImage")}


def _urn(name: str, *types: str) -> str:
    """Return the URN of a dynamic resource; ``types`` are the classes of its parents and its own, outermost first.

    Pulumi does not pass a resource its own URN, which it needs to show a status on its line.
    """
    kinds = "$".join(PREFIX + kind for kind in types)
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{kinds}::{name}"
