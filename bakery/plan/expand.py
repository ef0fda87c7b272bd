"""Recipes to the points that will be images: each variant with its variables filled in and its family."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bakery.plan.graph import Node
from bakery.plan.template import builder, project
from bakery.recipe.model import Json, Metric, Recipe, Suite, Variant
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

    ``arguments`` are Packer's as ``cloudbuild.yaml`` has them, unfilled. ``symbolic`` are the Packer variables with
    Cloud Build's built-in names (``$PROJECT_ID``) left as they are, so that no digest depends on who builds;
    ``variables`` have them filled in.
    """

    recipe: Recipe
    variant: Variant
    arguments: Mapping[str, str]
    substitutions: Mapping[str, str]
    symbolic: Mapping[str, str]
    variables: Mapping[str, str]
    node: Node


def builtins(settings: Settings, revision: str) -> dict[str, str]:
    """Cloud Build's built-in substitutions as far as they are known before a build."""
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
    """The Packer variables that a template may declare to follow the stack's Spack settings.

    A full commit says which Spack it is, wherever it comes from: then the source does not count, see
    :func:`counted`.
    """
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
    """The variables without the source of what a full commit pins."""
    kept = dict(variables)
    for source, ref in (("spack_source", "spack_ref"), ("spack_packages_source", "spack_packages_ref")):
        if source in kept and _COMMIT.fullmatch(kept.get(ref, "")):
            del kept[source]
    return kept


def points(recipe: Recipe, settings: Settings, known: Mapping[str, str]) -> Iterator[VariantInputs]:
    """The recipe's points in the order of its variants; ``known`` are the built-in substitutions."""
    arguments = packer_arguments(recipe.build)
    defaults = declared(recipe.template) | {
        name: value
        for name, value in spack_variables(settings).items()
        if name in (recipe.template.get("variables") or {})
    }
    for variant in recipe.variants:
        yield _point(recipe, variant, arguments, defaults, known)


def _point(
    recipe: Recipe,
    variant: Variant,
    arguments: Mapping[str, str],
    defaults: Mapping[str, str],
    known: Mapping[str, str],
) -> VariantInputs:
    values = dynamic(recipe.build, {**recipe.substitutions, **variant.substitutions})
    said = passed(arguments, values, defaults, variant.substitutions)
    symbolic = resolve({**defaults, **said})
    filled = {name: substitute(text, known, last=True) for name, text in said.items()}
    variables = resolve({**defaults, **filled})
    return VariantInputs(
        recipe, variant, arguments, values, symbolic, variables, _node(recipe, variant, values, variables)
    )


def _node(recipe: Recipe, variant: Variant, values: Mapping[str, str], variables: Mapping[str, str]) -> Node:
    options = builder(recipe.template)
    family = fill(str(options.get("image_family") or ""), variables) or values.get(FAMILY, "")
    if variant.name and FAMILY not in variant.substitutions and family:
        family = f"{family}-{_NOT_FAMILY.sub('-', variant.name.lower()).strip('-')}"
    base = fill(str(options.get("source_image") or options.get("source_image_family") or ""), variables)
    return Node(
        package=recipe.name,
        variant=variant.name,
        family=family,
        base_family=base or values.get(SOURCE_FAMILY, ""),
        base_project=fill(project(options), variables),
        at=recipe.family_at,
        base_at=recipe.base_at,
    )


def named(point: VariantInputs, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Variables and substitutions with the image's name and family in them, wherever the recipe sets these."""
    options = builder(point.recipe.template)
    values = {
        only_reference(options.get("image_name")): name,
        only_reference(options.get("image_family")): point.node.family,
    }
    values.pop("", None)
    handed = {point.arguments.get(variable, "").strip("${}"): value for variable, value in values.items()}
    set_ = {key: value for key, value in handed.items() if key in point.substitutions}
    return {**point.variables, **values}, {**point.substitutions, **set_}


def suite_of(point: VariantInputs) -> Suite | None:
    """The recipe's tests with the variant's cluster and performance references over them."""
    suite = point.recipe.suite
    if suite is None:
        return None
    jobs = tuple(
        replace(
            job,
            metrics=tuple(
                _referred(metric, point.variant.references.get(job.output_directory)) for metric in job.metrics
            ),
        )
        for job in suite.jobs
    )
    return Suite(jobs, point.variant.cluster or suite.cluster)


def _referred(metric: Metric, references: Json) -> Metric:
    """The metric with the variant's reference: a number, or a mapping of reference, lower and upper."""
    given = references.get(metric.name) if isinstance(references, Mapping) else None
    if isinstance(given, Mapping):
        return replace(
            metric,
            reference=_bound(given, "reference", metric.reference),
            lower=_bound(given, "lower", metric.lower),
            upper=_bound(given, "upper", metric.upper),
        )
    return metric if given is None else replace(metric, reference=float(given))


def _bound(given: Mapping[str, Json], key: str, default: float | None) -> float | None:
    return float(given[key]) if given.get(key) is not None else default
