"""The stack's outputs: what consumers can read about the images that the families point at."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.backends.promoted import copy_links, details
from bakery.errors import BakeryError
from bakery.library.base import ImageRecord, Proof
from bakery.library.derived import content
from bakery.plan.model import Plan
from bakery.plan.rcc_tf import boots, variables
from bakery.preview import snapshot
from bakery.preview.cluster_fit import cluster_faults, software
from bakery.preview.copies import copied
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import families_of, staged
from bakery.resources.program import Declared
from bakery.resources.promoted_image import PromotedImage
from bakery.settings import Settings
from bakery.settings.copies import address

Promotion = tuple[str, str, bool]  # the name and the digest of the image, and whether it has passed its tests


def after(settings: Settings, plan: Plan, declared: tuple[Declared, ...]) -> pulumi.Output[dict[str, Any]]:
    """Return the values of :func:`outputs`, which are known after the promotion of all images.

    They are what the library has then, whatever the engine failed to do or skipped (``--target``). A preview, and an
    ``up`` that cannot read the library, name the images of the promotions that the engine has not skipped.
    """
    chosen, preview = backend(settings), pulumi.runtime.is_dry_run()
    owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    made = {one.image.family: one.promoted for one in declared if one.promoted is not None}
    made |= {family: promotion for one in declared for family, promotion in one.others.items()}
    promoted = {family: _promoted(promotion) for family, promotion in made.items()}
    known = pulumi.Output.all(**promoted) if promoted else pulumi.Output.from_input({})
    found = known.apply(lambda images: outputs(chosen, plan, images, preview=preview))
    return found if preview else found.apply(lambda values: _stored(chosen, owner, values))


def outputs(chosen: Backend, plan: Plan, images: Mapping[str, str], *, preview: bool) -> dict[str, Any]:
    """Return the outputs by name; ``images`` are those of the engine's promotions by family, "" for none.

    ``refused`` is not an output: it says why the images cannot be one cluster, for which ``rcc_tf`` is empty then.
    """
    held = snapshot.read(chosen.settings, chosen.existing_library, ())
    promoted = promotions(held, plan, images, preview=preview)
    known = [held.records[name] for name, _, _ in promoted.values() if name in held.records]
    try:
        more = {} if held.problems else details(chosen, known)
    except BakeryError as error:
        pulumi.log.warn(f"the output images lacks details: {error.message}")
        more = {}
    refused = _refusals(chosen, plan, promoted, known)
    return {
        "images": images_output(chosen, plan, promoted, more),
        "rcc_tf": {} if refused else rcc_tf_output(chosen, plan, promoted),
        "refused": refused,
    }


def _refusals(
    chosen: Backend, plan: Plan, promoted: Mapping[str, Promotion], known: Sequence[ImageRecord]
) -> list[str]:
    """Return why the promoted images, whose records are ``known``, cannot be one cluster."""
    names, cluster = {family: name for family, (name, _, _) in promoted.items()}, chosen.settings.cluster
    machines = boots(plan.images, names, staged(chosen.settings, plan.images), cluster)
    faults = cluster_faults(machines, software(known), cluster.slurm_gcp) if machines else ()
    return [f"{fault}; {hint}" for fault, hint in faults]


def _stored(chosen: Backend, owner: str, found: dict[str, Any]) -> dict[str, Any]:
    """Store the variables of rcc-tf where consumers find them; return the outputs."""
    if found["rcc_tf"]:
        try:
            chosen.store_output(f"{owner}/images.auto.tfvars.json", json.dumps(found["rcc_tf"], indent=2) + "\n")
        except (BakeryError, OSError) as error:
            pulumi.log.warn(f"images.auto.tfvars.json is not up to date: {error}")
    return found


def _promoted(resource: PromotedImage) -> pulumi.Output[str]:
    """Return the image of a promotion; "" if it failed, or if it was skipped before it was ever made (no ID)."""
    image = resource.id.apply(lambda id_: "" if id_ == "" else resource.image, run_with_unknowns=True)
    return image.recover(lambda _error: "")


def promotions(held: LibrarySnapshot, plan: Plan, images: Mapping[str, str], *, preview: bool) -> dict[str, Promotion]:
    """Map the families to what they point at; ``images`` are those of the engine's promotions, "" for none."""
    known = {image.name: (image.name, image.digest, image.tests is not None) for image in plan.images}
    if not preview or not known.keys() >= set(filter(None, images.values())):
        for problem in held.problems:
            pulumi.log.warn(f"the outputs are those of the stack's state: {problem.message}")
        for record in held.images:
            digest = known.get(record.name, (record.name, record.digest))[1]  # Compute Engine keeps only its beginning
            known[record.name] = (record.name, digest, record.proof is Proof.PASSED)
        images = images if preview or held.problems else _shown(held, images)
    contents = {content(name): promotion for name, promotion in known.items()}
    for name in images.values():  # a channel's image that does not exist before the up
        if name not in known and (made := contents.get(content(name))):
            known[name] = (name, *made[1:])
    return {family: known[name] for family, name in images.items() if name in known}


def _shown(held: LibrarySnapshot, images: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the families point at; those of projects that could not be looked at as the engine knows them."""
    return {name: image for name, image in images.items() if held.points(name, image)} | dict(held.pointers)


def images_output(
    chosen: Backend, plan: Plan, promoted: Mapping[str, Promotion], more: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the output ``images``: for each promoted family the image that it points at, and ``more`` of it."""
    return {
        family: {
            "image": name,
            "digest": digest,
            "link": chosen.image_link(name, digest),
            "package": image.package,
            "variant": image.variant,
            "tested": tested,
            "channel": family[len(image.family) + 1 :],
            **more.get(name, {"name": name}),
            **_copies(chosen.settings, promoted, family, name),
        }
        for family, image in families_of(chosen.settings, plan.images).items()
        if family in promoted
        for name, digest, tested in [promoted[family]]
    }


def _copies(settings: Settings, promoted: Mapping[str, Promotion], family: str, name: str) -> dict[str, Any]:
    """Return the copies of the family's image; the key is missing if the settings copy none."""
    if not settings.google.copies:
        return {}
    there = [project for _, project in copied(settings, [family])]
    made = [project for project in there if promoted.get(address(family, project), ("",))[0] == name]
    return {"copies": [copy_links(project, name) for project in made]}


def rcc_tf_output(chosen: Backend, plan: Plan, promoted: Mapping[str, Promotion]) -> dict[str, Any]:
    """Return the output ``rcc_tf``: the variables of an rcc-tf configuration, empty if no image is promoted."""
    links = {family: chosen.image_link(name, digest) for family, (name, digest, _) in promoted.items()}
    settings = chosen.settings
    zone = next(iter(settings.google.zones), "")
    return variables(plan.images, links, zone, staged(settings, plan.images), settings.cluster)
