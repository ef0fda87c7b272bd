"""The variables of an rcc-tf configuration, from the images that the families point at now."""

from collections.abc import Mapping
from typing import Any

from bakery.backends import backend
from bakery.backends.promoted import copy_links
from bakery.errors import BakeryError, InputError
from bakery.library.base import Listing
from bakery.operations.image import copied
from bakery.operations.plan import plan_of
from bakery.plan import rcc_tf
from bakery.preview.check import as_problems, wrong_cluster, wrong_partitions
from bakery.preview.cluster_fit import cluster_faults, software
from bakery.preview.targets import staged
from bakery.settings import Settings


def variables(settings: Settings, cluster_name: str = "", zone: str = "", project: str = "") -> dict[str, Any]:
    """Return the variables for a cluster in ``zone`` (default: the stack's first zone).

    ``cluster_name`` is left out if empty. With ``project`` the images are the copies there. Raises InputError for
    recipes with errors, BakeryError if a family of the stack points at no image or the images do not fit, and Uncertain
    if the library cannot be read.
    """
    plan = plan_of(settings)
    behind = staged(settings, plan.images)
    families = [image.family for image in plan.images]
    faults = (*wrong_partitions(settings, plan.images), *wrong_cluster(settings.cluster, families))
    if wrong := as_problems(settings, faults):
        raise InputError(wrong)
    held, names = _promoted(settings, families, [channel for channel, _ in behind.values()], project)
    machines = rcc_tf.boots(plan.images, names, behind, settings.cluster)
    if machines and (unfit := [*cluster_faults(machines, software(held.images), settings.cluster.slurm_gcp)]):
        raise BakeryError("\n".join(fault for fault, _ in unfit), hint=unfit[0][1])
    zone = zone or next(iter(settings.google.zones), "")
    cluster = {"cluster_name": cluster_name, "project": project or settings.google.project, "zone": zone}
    return {name: value for name, value in cluster.items() if value} | rcc_tf.variables(
        plan.images, _links(settings, held, names, project), zone, behind, settings.cluster
    )


def _promoted(
    settings: Settings, families: list[str], channels: list[str], project: str
) -> tuple[Listing, dict[str, str]]:
    """Return the library, and the images that families and channels point at."""
    chosen = backend(settings)
    library = chosen.library()
    held = library.listing()
    promoted = copied(chosen, project) if project else held.families
    missing = [family for family in families if family not in promoted]
    if not families:
        raise BakeryError("the stack selects no package", hint="add a package to select")
    if missing and project:
        hint = f"see google.copies.{project}.families; copies are made with: pulumi up --stack {settings.stack}"
        raise BakeryError(f"no copy in the project {project} of {', '.join(missing)}", hint=hint)
    if missing:
        hint = f"bake, test and promote it with: pulumi up --stack {settings.stack}"
        raise BakeryError(f"no promoted image in {', '.join(missing)}", hint=hint)
    return held, {family: promoted[family] for family in (*families, *channels) if family in promoted}


def _links(settings: Settings, held: Listing, names: Mapping[str, str], project: str) -> dict[str, str]:
    """Return the links of the families' images."""
    if project:
        return {family: copy_links(project, name)["link"] for family, name in names.items()}
    digests = {image.name: image.digest for image in held.images}
    return {family: backend(settings).image_link(name, digests[name]) for family, name in names.items()}
