"""The resources of one image, each usable alone: its bake, its test, its promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pulumi

from bakery.backends import backend
from bakery.errors import InputError, Uncertain
from bakery.library.derived import derived_name
from bakery.orders import files as order_files
from bakery.paths import StatePaths
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.model import ImagePlan, Plan, lineage
from bakery.plan.plan import by_family
from bakery.plan.summary import ImageSummary
from bakery.preview import snapshot
from bakery.preview.check import check
from bakery.preview.cluster_fit import running
from bakery.preview.copies import copied
from bakery.preview.model import Target
from bakery.preview.targets import families_of, hours, proofs, targets
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.resources.baked_image import BakedImage
from bakery.resources.fluid_run_test import FluidRunTest
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings
from bakery.settings.copies import address

PREFIX = "pulumi-python:dynamic/bakery:"
# What a family shall point at instead of its recipe's image (None: at that), and the proofs that the image needs.
Wanted = tuple[Target | None, Mapping[str, str]]


@dataclass(frozen=True)
class ImageResources:
    """Declares the resources of the images of ``plan``, which is that of a stack with ``settings``.

    ``provider`` has the settings if they are not those of the stack's configuration. Each method declares one kind of
    resource for one image; what it waits for is what the caller passes, so the parts can be used alone.
    """

    settings: Settings
    plan: Plan
    provider: pulumi.ProviderResource | None = field(default=None, compare=False)

    def image(self, family: str) -> ImagePlan:
        """Return the image of a recipe's family. Raises pulumi.RunError if the plan has no such family."""
        if (image := self._families.get(family)) is None:
            known = ", ".join(sorted(self._families)) or "none"
            raise pulumi.RunError(f"the plan has no family {family!r}; use one of: {known}")
        return image

    def bake(self, image: ImagePlan, after: Sequence[pulumi.Resource] = ()) -> BakedImage:
        """Declare that the library has the image, at least as a candidate; its output ``name`` is the image's name.

        An image that is in the library is adopted. The bake waits for ``after``, among which the bake of its parent has
        to be. Unless this is a preview, the orders of bake and tests are written; raises InfrastructureFailed if they
        cannot be.
        """
        if not pulumi.runtime.is_dry_run():
            order_files.write(StatePaths(self.settings.state), image)
        return BakedImage(
            image.family,
            {
                "name": image.name,
                "digest": image.digest[:DIGEST_SHOWN],
                "family": image.family,
                "inputs": dict(image.inputs),
                "labels": {key: value for key, value in image.labels.items() if key != REVISION_LABEL},
                "urn": _urn(image.family, "BakedImage"),
                **self._where,
            },
            self._options(depends_on=[*after]),
        )

    def test(self, image: ImagePlan, baked: BakedImage) -> FluidRunTest | None:
        """Declare that the image, whose bake is ``baked``, has passed its tests; None if its recipe has none.

        The tests run on a cluster of machines of the image, unless it has passed the same tests before. The output
        ``run`` is the id of the run.
        """
        if image.tests is None:
            pulumi.log.warn(f"{image.package} has no fluidrun.yaml: {image.family} is promoted untested", baked)
            return None
        return FluidRunTest(
            image.family,
            {
                "image": image.name,
                "tests": image.tests.digest[:DIGEST_SHOWN],
                "inputs": dict(image.tests.inputs),
                **({"smoke": image.smoke.digest[:DIGEST_SHOWN]} if image.smoke else {}),
                "urn": _urn(image.family, "BakedImage", "FluidRunTest"),
                **self._where,
            },
            self._options(parent=baked, depends_on=[baked]),
        )

    def promote(
        self, image: ImagePlan, baked: BakedImage, after: Sequence[pulumi.Resource]
    ) -> Mapping[str, PromotedImage]:
        """Declare that the image's family points at it, as do its channels; return the promotions by family.

        They wait for ``after``, the test and the promotion of the parent, and fail unless the image and its ancestors
        have passed their tests. Pins, approvals, channels and roll-outs of the settings are honoured: a family may
        point at another image, which waits for ``baked`` only, or at none, and then is not in the result. Copies in
        other projects are in it by their addresses. Raises InputError for pins that cannot be honoured, and Uncertain
        if the library cannot be read.
        """
        cluster = running(self.settings.cluster, self.plan.images, image.family)
        promotions = {}
        own: Wanted = (None, image.taken.proofs if image.taken else self._proofs(image))
        for family in self._names[image.name]:
            target, proven = self.held.get(family, own)
            if target and target.waits and not pulumi.runtime.is_dry_run():  # a preview shows the decision
                pulumi.log.info(f"{image.name} {target.why}", baked)
            source = target.image if target else image.name
            if source:
                props = self._promotion(image.family, family, source, proven)
                props |= {"cluster": cluster._asdict()} if cluster else {}
                options = self._options(parent=baked, depends_on=[baked] if target else [*after])
                promotions[family] = PromotedImage(family, props, options)
                follows = self._options(parent=baked, depends_on=[promotions[family]])
                for _, project in copied(self.settings, [family]):
                    name = address(family, project)
                    promotions[name] = PromotedImage(name, _of_copy(name, props), follows)
        return promotions

    @cached_property
    def held(self) -> Mapping[str, Wanted]:
        """The families that do not follow their recipes, with targets and proofs. Raises InputError, Uncertain."""
        settings, images = self.settings, self.plan.images
        asked = settings.pins or settings.approval or settings.channels or settings.rollout
        held = snapshot.read(settings, backend(settings).existing_library if asked else lambda: None, ())
        if problems := check(settings, images, None if held.problems else held):
            raise InputError(problems)
        if held.problems and not (pulumi.runtime.is_dry_run() and not (settings.approval or settings.rollout)):
            raise Uncertain(f"it cannot be known which images families point at: {held.problems[0].message}")
        return {
            family: (target, proofs(target.image, self._pointing, held) if target.image else {})
            for family, target in targets(settings, images, held).items()
            if target.image != self._pointing[family].name
        }

    @cached_property
    def _families(self) -> Mapping[str, ImagePlan]:
        return by_family(self.plan)

    @cached_property
    def _pointing(self) -> Mapping[str, ImageSummary]:
        """The images by family, with channels."""
        return families_of(self.settings, self.plan.images)

    @cached_property
    def _names(self) -> Mapping[str, Sequence[str]]:
        """The families and channels by their images."""
        found: dict[str, list[str]] = {image.name: [] for image in self.plan.images}
        for family, image in self._pointing.items():
            found[image.name].append(family)
        return found

    @cached_property
    def _where(self) -> Mapping[str, str]:
        return backend(self.settings).location

    def _options(self, **options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(provider=self.provider, **options)

    def _proofs(self, image: ImagePlan) -> dict[str, str]:
        """Map the image's ancestors, the oldest first, and itself to the digests of their tests ("" without tests)."""
        line = reversed([*lineage(image, self._families)])
        return {one.name: one.tests.digest[:DIGEST_SHOWN] if one.tests else "" for one in line}

    def _promotion(self, recipe: str, family: str, source: str, proven: Mapping[str, str]) -> dict[str, Any]:
        """Return the inputs of a promotion: of the image ``source`` of the recipe's family, or of one made from it."""
        settings = self.settings
        consumers = settings.google.consumer_members
        channel = {"image": derived_name(source, family), "source": source}
        first = settings.rollout and not hours(settings, family)
        return {
            "family": family,
            "image": source,
            "proofs": dict(proven),
            "urn": _urn(family, "BakedImage", "PromotedImage"),
            **self._where,
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
