"""Makes the orders of an image of the plan, and reads and writes orders as JSON."""

from typing import Any

from bakery.codec import decode, encode
from bakery.errors import InputError, Problem
from bakery.orders.model import BakeOrder, RunOrder
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.model import ImagePlan


def bake_order(image: ImagePlan) -> BakeOrder:
    """Return the order to bake the image."""
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


def run_order(image: ImagePlan) -> RunOrder:
    """Return the order to test the image. Raises InputError if its recipe has no tests.

    ``compiler`` and ``target_arch`` are the recipe's substitutions that rcc-run stores under these names.
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


def to_json(order: BakeOrder | RunOrder) -> dict[str, Any]:
    """Return the order as a JSON object; equal orders give equal objects."""
    value: dict[str, Any] = encode(order)
    return value


def bake_from_json(value: Any) -> BakeOrder:
    """Return the bake order of a JSON object. Raises ValueError with the invalid field."""
    return decode(BakeOrder, value)


def run_from_json(value: Any) -> RunOrder:
    """Return the run order of a JSON object. Raises ValueError with the invalid field."""
    return decode(RunOrder, value)


def _setting(image: ImagePlan, name: str) -> str:
    return image.substitutions.get(f"_{name.upper()}") or image.variables.get(name, "")
