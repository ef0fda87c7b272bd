"""What the program hands to ovens and Fluid-Runs: an image of the plan as an order, and orders as JSON."""

from __future__ import annotations

from typing import Any

from bakery.codec import decode, encode
from bakery.errors import InputError, Problem
from bakery.orders.model import BakeOrder, RunOrder
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.model import ImagePlan


def bake_order(image: ImagePlan) -> BakeOrder:
    """All that an oven needs to bake the image."""
    return BakeOrder(
        package=image.package,
        variant=image.variant,
        family=image.family,
        name=image.name,
        digest=image.digest,
        base=image.base,
        template=image.template,
        template_path=image.template_path,
        build=image.build,
        variables=image.variables,
        substitutions=image.substitutions,
        files=image.files,
        labels=image.labels,
        inputs=image.inputs,
        timeout=image.timeout,
    )


def test_order(image: ImagePlan) -> RunOrder:
    """All that a Fluid-Run needs to prove the image; raises InputError when its recipe has no tests.

    ``compiler`` and ``target_arch`` are what rcc-run stores under these names: the recipe's substitutions.
    """
    if image.tests is None:
        hint = "write a fluidrun.yaml"
        raise InputError([Problem(image.template_path, 1, f"{image.family} has no tests", hint)])
    return RunOrder(
        image=image.name,
        digest=image.tests.digest,
        package=image.package,
        variant=image.variant,
        suite=image.tests.suite,
        files=image.tests.files,
        git_sha=image.labels.get(REVISION_LABEL, ""),
        compiler=_setting(image, "compiler"),
        target_arch=_setting(image, "target_arch"),
    )


test_order.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks


def to_json(order: BakeOrder | RunOrder) -> dict[str, Any]:
    """The order as a JSON object; the same order gives the same object."""
    made: dict[str, Any] = encode(order)
    return made


def bake_from_json(value: Any) -> BakeOrder:
    """The bake order of a JSON object; raises ValueError naming what is wrong with it."""
    return decode(BakeOrder, value)


def test_from_json(value: Any) -> RunOrder:
    """The test order of a JSON object; raises ValueError naming what is wrong with it."""
    return decode(RunOrder, value)


test_from_json.__test__ = False  # type: ignore[attr-defined]  # see test_order


def _setting(image: ImagePlan, name: str) -> str:
    return image.substitutions.get(f"_{name.upper()}") or image.variables.get(name, "")
