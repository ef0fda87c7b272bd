"""The outputs of the stack, as functions of the plan and of the images that the families point at.

``promoted`` maps the families that point at an image to its name and digest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bakery.backends.base import Backend
from bakery.plan.model import Plan
from bakery.plan.rcc_tf import variables


def images(backend: Backend, plan: Plan, promoted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Return the output ``images``: for each promoted family the image that it points at."""
    return {
        image.family: {
            "image": name,
            "digest": digest,
            "link": backend.image_link(name, digest),
            "package": image.package,
            "variant": image.variant,
            "tested": image.tests is not None,
        }
        for image in plan.images
        if image.family in promoted
        for name, digest in [promoted[image.family]]
    }


def rcc_tf(backend: Backend, plan: Plan, promoted: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the output ``rcc_tf``: the variables of an rcc-tf configuration, empty if no image is promoted."""
    links = {family: backend.image_link(name, digest) for family, (name, digest) in promoted.items()}
    return variables(plan.images, links, next(iter(backend.settings.google.zones), ""))
