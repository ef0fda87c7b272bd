"""Expands recipes: one variant for each image, with its variables filled in and its family."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bakery.plan.graph import Node
from bakery.plan.template import builder, source_project
from bakery.recipe.model import Recipe, Suite, Variant
from bakery.recipe.references import with_references
from bakery.recipe.templating import (
    FAMILY,
    SOURCE_FAMILY,
    declared,
    dynamic,
    fill,
    only_reference,
    packer_arguments,
    passed,
    resolve,
    substitute,
)
from bakery.settings import Settings

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_FAMILY = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True)
class VariantInputs:
    """One variant of a recipe.

    ``arguments`` are Packer's arguments in ``cloudbuild.yaml``, not filled in. ``symbolic`` are the Packer variables in
    which Cloud Build's built-in names (``$PROJECT_ID``) are kept, so that no digest depends on who builds; in
    ``variables`` these are filled in, too.
    """

    recipe: Recipe
    variant: Variant
    arguments: Mapping[str, str]
    substitutions: Mapping[str, str]
    symbolic: Mapping[str, str]
    variables: Mapping[str, str]
    node: Node


def builtins(settings: Settings, revision: str) -> dict[str, str]:
    """Return Cloud Build's built-in substitutions; those that are only known in a build are empty."""
    return {
        "PROJECT_ID": settings.google.project or "local",
        "LOCATION": settings.google.region or "local",
        "COMMIT_SHA": revision,
        "REVISION_ID": revision,
        "SHORT_SHA": revision[:7],
        "BRANCH_NAME": settings.google.branch,
        "REF_NAME": settings.google.branch,
    } | dict.fromkeys(("BUILD_ID", "PROJECT_NUMBER", "REPO_NAME", "REPO_FULL_NAME", "TAG_NAME", "TRIGGER_NAME"), "")


def spack_variables(settings: Settings) -> dict[str, str]:
    """Return the Packer variables that follow the stack's Spack settings, for templates that declare them."""
    spack = settings.spack
    values = {
        "spack_source": spack.source,
        "spack_ref": spack.ref,
        "spack_packages_source": spack.packages_source,
        "spack_packages_ref": spack.packages_ref,
        "spack_cache": settings.spack_cache,
        "spack_cache_key": spack.cache_key,
        "spack_mirror": spack.mirror,
    }
    return {name: value for name, value in values.items() if value}


def counted(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the digest covers.

    A full commit identifies Spack's code wherever it is fetched from, so the source beside it does not count.
    """
    kept = dict(variables)
    for source, ref in (("spack_source", "spack_ref"), ("spack_packages_source", "spack_packages_ref")):
        if source in kept and _COMMIT.fullmatch(kept.get(ref, "")):
            del kept[source]
    return kept


def variant_inputs(recipe: Recipe, settings: Settings, known: Mapping[str, str]) -> Iterator[VariantInputs]:
    """Yield the inputs of every variant, in the recipe's order; ``known`` are the built-in substitutions."""
    arguments = packer_arguments(recipe.build)
    defaults = declared(recipe.template) | {
        name: value
        for name, value in spack_variables(settings).items()
        if name in (recipe.template.get("variables") or {})
    }
    for variant in recipe.variants:
        own = replace(recipe, template=variant.template) if variant.template else recipe
        substitutions = dynamic(recipe.build, {**recipe.substitutions, **variant.substitutions})
        given = passed(arguments, substitutions, defaults, variant.substitutions)
        filled = {name: substitute(text, known, last=True) for name, text in given.items()}
        variables = resolve({**defaults, **filled})
        yield VariantInputs(
            recipe=own,
            variant=variant,
            arguments=arguments,
            substitutions=substitutions,
            symbolic=resolve({**defaults, **given}),
            variables=variables,
            node=_node(own, variant, substitutions, variables),
        )


def _node(recipe: Recipe, variant: Variant, substitutions: Mapping[str, str], variables: Mapping[str, str]) -> Node:
    options = builder(recipe.template)
    family = fill(str(options.get("image_family") or ""), variables) or substitutions.get(FAMILY, "")
    if variant.name and FAMILY not in variant.substitutions and family:
        family = f"{family}-{_NOT_FAMILY.sub('-', variant.name.lower()).strip('-')}"
    base = fill(str(options.get("source_image") or options.get("source_image_family") or ""), variables)
    return Node(
        package=recipe.name,
        variant=variant.name,
        family=family,
        base_family=base or substitutions.get(SOURCE_FAMILY, ""),
        base_project=fill(source_project(options), variables),
        at=recipe.family_at,
        base_at=recipe.base_at,
    )


def with_image_name(inputs: VariantInputs, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return variables and substitutions with the image's name and family, wherever the recipe sets these."""
    options = builder(inputs.recipe.template)
    values = {
        only_reference(options.get("image_name")): name,
        only_reference(options.get("image_family")): inputs.node.family,
    }
    values.pop("", None)
    arguments = {inputs.arguments.get(variable, "").strip("${}"): value for variable, value in values.items()}
    substitutions = {key: value for key, value in arguments.items() if key in inputs.substitutions}
    return {**inputs.variables, **values}, {**inputs.substitutions, **substitutions}


def suite_of_variant(inputs: VariantInputs) -> Suite | None:
    """Return the recipe's tests with the variant's cluster and performance references."""
    suite = inputs.recipe.suite
    if suite is None:
        return None
    jobs = tuple(with_references(job, inputs.variant.references) for job in suite.jobs)
    return Suite(jobs, inputs.variant.cluster or suite.cluster)
