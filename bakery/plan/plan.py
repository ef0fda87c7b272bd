"""The plan: recipes, settings and lock to images in graph order, each with digest, name and all that bakes it.

No I/O, no clock, no machine: the same input gives the same plan everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bakery.errors import InputError, errors_among
from bakery.lock.model import Lock
from bakery.plan import digest, names
from bakery.plan.expand import VariantInputs, builtins, counted, named, points, suite_of
from bakery.plan.image_files import image_files, test_files
from bakery.plan.link import Bases, UnlinkedImage, lay_out, selected
from bakery.plan.model import Base, ImagePlan, Plan, SuitePlan
from bakery.plan.template import disk_options, location_variables, pinned
from bakery.recipe import image_names
from bakery.recipe.model import Recipes
from bakery.recipe.templating import references
from bakery.settings import Settings


def make(settings: Settings, recipes: Recipes, lock: Lock, revision: str = "") -> Plan:
    """The plan of the selected images and their ancestors; ``revision`` is the git commit for the labels.

    Raises InputError with every problem, the recipes' and its own, when one of them is an error.
    """
    plan = draft(settings, recipes, lock, revision)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    return plan


def draft(settings: Settings, recipes: Recipes, lock: Lock, revision: str = "", *, locked: bool = True) -> Plan:
    """The plan as far as it goes, with all problems.

    An external base that the lock does not know is an error, or, unless everything has to be ``locked``, a warning;
    its image then has a provisional digest.
    """
    return Plan(*lay_out(settings, seeds(settings, recipes, revision), recipes, Bases(settings, lock, locked)))


def seeds(settings: Settings, recipes: Recipes, revision: str = "") -> list[UnlinkedImage[ImagePlan]]:
    """All images of the recipes before their bases are known."""
    known = builtins(settings, revision)
    found = (point for recipe in recipes.recipes for point in points(recipe, settings, known))
    return [UnlinkedImage(point.node, partial(image, point, settings, revision)) for point in found]


def material(point: VariantInputs, settings: Settings) -> digest.Material:
    """What counts in the image of a point, whatever its base."""
    template = point.recipe.template
    provisioners = template.get("provisioners") or []
    options = disk_options(template)
    reached = (references(provisioners) | references(options)) - location_variables(template)
    return digest.Material(
        files=image_files(point.recipe, point.variables),
        provisioners=provisioners,
        builder=options,
        variables=counted({name: value for name, value in point.symbolic.items() if name in reached}),
        nonce=settings.nonce.get(point.node.family) or settings.nonce.get(point.recipe.name, ""),
    )


def image(point: VariantInputs, settings: Settings, revision: str, base: Base) -> ImagePlan:
    """The image of a point that is baked from this base."""
    recipe, node = point.recipe, point.node
    counts = material(point, settings)
    identity = digest.digest(base, digest.content(counts))
    name = image_names.image_name(node.family, identity)
    labels = names.labels(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        digest=identity,
        parent=base.name,
        revision=revision,
    )
    variables, substitutions = named(point, name)
    tests = tests_of(point)
    return ImagePlan(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        name=name,
        digest=identity,
        base=base,
        template=pinned(recipe.template, name=name, base=base.name, external=base.external, labels=labels),
        template_path=f"{recipe.workspace_path}/packer.json",
        build=recipe.build,
        variables=variables,
        substitutions=substitutions,
        files=counts.files,
        labels=labels,
        inputs=digest.based(base, digest.manifest(counts)),
        timeout=recipe.timeout,
        tests_digest=tests.digest if tests else "",
        tests_inputs=tests.inputs if tests else {},
        tests=tests,
    )


def tests_of(point: VariantInputs) -> SuitePlan | None:
    """What proves the image of a point; None without tests."""
    suite = suite_of(point)
    if suite is None:
        return None
    files = test_files(point.recipe, suite)
    identity, inputs = digest.tests_digest(suite, files)
    return SuitePlan(identity, suite, files, inputs)


def external_bases(settings: Settings, recipes: Recipes) -> tuple[tuple[str, str], ...]:
    """Project and family of every base image from outside that the selected images need, sorted."""
    nodes = [seed.node for seed in selected(settings, seeds(settings, recipes))[0]]
    families = {node.family for node in nodes}
    found = {(node.base_project, node.base_family) for node in nodes if node.base_family not in families}
    return tuple(sorted(key for key in found if all(key)))


def by_family(plan: Plan) -> Mapping[str, ImagePlan]:
    """The plan's images by family."""
    return {planned.family: planned for planned in plan.images}
