"""The plan: recipes, settings and lock to images in graph order, each with its digest, its name and its bake's inputs.

No I/O, no clock, no machine: the same input gives the same plan everywhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from bakery.errors import InputError, errors_among
from bakery.lock.model import Lock
from bakery.plan import digest
from bakery.plan.expand import VariantInputs, builtins, counted, suite_of_variant, variant_inputs, with_image_name
from bakery.plan.image_files import image_files, test_files
from bakery.plan.image_labels import image_labels
from bakery.plan.link import Bases, UnlinkedImage, link, prefixed, select
from bakery.plan.model import ImagePlan, Plan, SuitePlan, partition_names
from bakery.plan.profile import with_profile
from bakery.plan.summary import Base
from bakery.plan.template import concealed, disk_options, location_variables, other_parts, pinned
from bakery.recipe import image_names
from bakery.recipe.expressions import ALL
from bakery.recipe.model import Recipes
from bakery.recipe.secrets import versions
from bakery.recipe.templating import file_name, references
from bakery.settings import Settings


def make(settings: Settings, recipes: Recipes, lock: Lock, revision: str = "", *, proven: Collection[str] = ()) -> Plan:
    """Return the plan of the selected images and their ancestors; ``revision`` is the git commit for the labels.

    ``proven`` as in :func:`bakery.plan.digest.identify`. Raises InputError with all problems, of the recipes and of the
    plan, if one of them is an error.
    """
    plan = draft(settings, recipes, lock, revision, proven=proven)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    return plan


def draft(
    settings: Settings,
    recipes: Recipes,
    lock: Lock,
    revision: str = "",
    *,
    locked: bool = True,
    proven: Collection[str] = (),
) -> Plan:
    """Return the plan of those images that can be planned, with all problems.

    An external base that is missing in the lock is an error, or, unless every base must be ``locked``, a warning; then
    its image has a provisional digest. ``proven`` as in :func:`bakery.plan.digest.identify`.
    """
    bases = Bases(settings, lock, locked)
    return Plan(*link(settings, unlinked_images(settings, recipes, revision, proven), recipes, bases))


def unlinked_images(
    settings: Settings, recipes: Recipes, revision: str = "", proven: Collection[str] = ()
) -> list[UnlinkedImage[ImagePlan]]:
    """Return all images of the recipes, before their bases are known."""
    known = builtins(settings, revision)
    images = [
        UnlinkedImage(inputs.node, partial(image_plan, inputs, settings, revision, proven))
        for recipe in recipes.recipes
        for inputs in variant_inputs(recipe, settings, known)
    ]
    return prefixed(images, settings.google.prefix)


def image_material(inputs: VariantInputs, settings: Settings) -> digest.Material:
    """Return what the digest of a variant's image covers, except its base."""
    template = inputs.recipe.template
    options = disk_options(template)
    whole = {**inputs.whole, **other_parts(template, inputs.recipe.names_builder)}
    named = references([inputs.provisioners, options, whole])
    used = (inputs.symbolic.keys() if ALL in named else named) - location_variables(template)
    return digest.Material(
        files=image_files(inputs.recipe, inputs.variables, inputs.build_files),
        provisioners=inputs.provisioners,
        builder=options,
        variables=counted({name: value for name, value in inputs.symbolic.items() if name in used}),
        nonce=settings.nonce.get(inputs.node.family) or settings.nonce.get(inputs.recipe.name, ""),
        whole=whole,
        sensitive=concealed(template),
        secrets=versions(inputs.recipe.secrets),
    )


def image_plan(
    inputs: VariantInputs, settings: Settings, revision: str, proven: Collection[str], base: Base
) -> ImagePlan:
    """Return the image of a variant that is baked from this base."""
    recipe, node = inputs.recipe, inputs.node
    material = image_material(inputs, settings)
    identity, rules = digest.identify(base, digest.contents(material), proven)
    name = image_names.image_name(node.family, identity)
    labels = image_labels(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        digest=identity,
        parent=base.name,
        revision=revision,
        architecture=node.architecture,
        prefix=settings.google.prefix,
    )
    variables, substitutions = with_image_name(inputs, name)
    tests = suite_plan(inputs, settings)
    return ImagePlan(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        name=name,
        digest=identity,
        base=base,
        template=pinned(recipe.template, name=name, base=base.name, external=base.external, labels=labels),
        template_path=f"{recipe.workspace_path}/{file_name(recipe.template)}",
        build=recipe.build,
        variables=variables,
        substitutions=substitutions,
        files=material.files,
        labels=labels,
        inputs=digest.based(base, digest.manifest(material, settings.secrets.values())),
        folder=recipe.folder,
        timeout=recipe.timeout,
        isolation=recipe.isolation,
        layers=recipe.layers,
        secrets=recipe.secrets,
        licence_servers=recipe.licence_servers,
        tests_digest=tests.digest if tests else "",
        tests_inputs=tests.inputs if tests else {},
        partitions=partition_names(node.family, tests),
        owners=inputs.variant.owners,
        rules=rules,
        tests=tests,
    )


def suite_plan(inputs: VariantInputs, settings: Settings) -> SuitePlan | None:
    """Return the tests of a variant's image, or None without tests."""
    suite = suite_of_variant(inputs, settings.cluster.tier)
    if suite is None:
        return None
    cluster, site = with_profile(suite.cluster, settings.cluster, inputs.recipe)
    suite = replace(suite, cluster=cluster)
    found = {file.path: file for file in (*test_files(inputs.recipe, suite), *site)}
    files = tuple(found[path] for path in sorted(found))
    identity, manifest = digest.tests_digest(suite, files)
    return SuitePlan(identity, suite, files, manifest)


def external_bases(settings: Settings, recipes: Recipes) -> tuple[tuple[str, str], ...]:
    """Return project and family of every external base image that the selected images need, sorted."""
    nodes = [image.node for image in select(settings, unlinked_images(settings, recipes))[0]]
    families = {node.family for node in nodes}
    bases = {(node.base_project, node.base_family) for node in nodes if node.base_family not in families}
    return tuple(sorted(base for base in bases if all(base)))


def by_family(plan: Plan) -> Mapping[str, ImagePlan]:
    """Return the plan's images by family."""
    return {image.family: image for image in plan.images}
