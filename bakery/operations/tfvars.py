"""The variables of an rcc-tf configuration, from the images that the families point at now."""

from typing import Any

from bakery.backends import backend
from bakery.errors import BakeryError, InputError, Problem, errors_among
from bakery.lock import file as lock_file
from bakery.plan import rcc_tf
from bakery.plan.plan import draft
from bakery.preview.check import wrong_partitions
from bakery.preview.targets import staged
from bakery.recipe.roots import recipes_of
from bakery.settings import PROJECT, Settings


def variables(settings: Settings, cluster_name: str = "", zone: str = "") -> dict[str, Any]:
    """Return the variables for a cluster in ``zone`` (default: the stack's first zone).

    ``cluster_name`` is left out if empty. Raises InputError for recipes with errors, BakeryError if a family of the
    stack points at no image, and Uncertain if the library cannot be read.
    """
    recipes = recipes_of(settings)
    plan = draft(settings, recipes, lock_file.read(settings.lock), locked=False)
    if errors := errors_among(plan.problems):
        raise InputError(errors)
    behind = staged(settings, plan.images)
    if wrong := [*wrong_partitions(settings, plan.images)]:
        raise InputError(Problem(settings.file, 1, f"{PROJECT}:{fault}", hint) for fault, hint in wrong)
    links = _links(settings, [image.family for image in plan.images], [channel for channel, _ in behind.values()])
    zone = zone or next(iter(settings.google.zones), "")
    cluster = {"cluster_name": cluster_name, "project": settings.google.project, "zone": zone}
    return {name: value for name, value in cluster.items() if value} | rcc_tf.variables(
        plan.images, links, zone, behind
    )


def _links(settings: Settings, families: list[str], channels: list[str]) -> dict[str, str]:
    chosen = backend(settings)
    library = chosen.library()
    held = library.listing()
    promoted = held.families
    missing = [family for family in families if family not in promoted]
    if missing or not families:
        raise BakeryError(
            f"no promoted image in {', '.join(missing)}" if missing else "the stack selects no package",
            hint=f"bake, test and promote it with: pulumi up --stack {settings.stack}",
        )
    names = {family: promoted[family] for family in (*families, *channels) if family in promoted}
    digests = {image.name: image.digest for image in held.images}
    return {family: chosen.image_link(name, digests[name]) for family, name in names.items()}
