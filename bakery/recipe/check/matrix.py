"""``recipe.yaml``: what the other files can't say. Its shape is schemas/recipe.schema.json; here is what it means."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from bakery.recipe.check import site
from bakery.recipe.check.cluster import from_recipe
from bakery.recipe.check.references import check_references, jobs_of
from bakery.recipe.check.tiers import sizes
from bakery.recipe.licence_servers import addresses
from bakery.recipe.model import ClusterShape, Suite, Variant
from bakery.recipe.parse import Document, Where, listed, one_line, quoted
from bakery.recipe.secrets import ENVIRONMENT, FILE, SECRET_MANAGER, VERSION, secrets_of
from bakery.recipe.templating import FAMILY, SOURCE_FAMILY, SOURCE_PROJECT, scalar

SCHEMA = Path(__file__).parents[1] / "schemas" / "recipe.schema.json"
LICENCE_SERVERS = "licenceServers"
MOST = 256  # points of a matrix
_NOT_NAME = re.compile(r"[^a-z0-9]+")
Combination = Mapping[str, str]  # axis to the name of its value


@cache
def _validator() -> Any:
    import jsonschema  # half of a tenth of a second, and only a recipe.yaml needs it

    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def valid(recipe: Document) -> bool:
    """Whether the file has the schema's shape; everything that differs is an error."""
    right = True
    for fault in _validator().iter_errors(recipe.value):
        deepest = _deepest(fault)
        # A regular expression does not say what to write.
        meant = deepest.schema.get("description") if deepest.validator == "pattern" else None
        hint = f"see docs/recipe.md{f': {meant}' if meant else ''}"
        recipe.error(one_line(deepest.message), hint, *deepest.absolute_path)
        right = False
    return right


def _deepest(fault: Any) -> Any:
    """Of alternatives that all fail, the failure that got furthest."""
    while fault.context:
        fault = max(fault.context, key=lambda inner: len(inner.absolute_path))
    return fault


def with_cluster(recipe: Document, suite: Suite | None, contents: Mapping[str, bytes]) -> Suite | None:
    """Return the tests with the cluster that all variants are tested on, if the recipe has one.

    The files of the site that it and those of variants name are checked; ``contents`` are the package's small files.
    """
    site.check(recipe, contents)
    given = recipe.value.get("cluster")
    if given is None:
        return suite
    shape = from_recipe(recipe, ("cluster",), given, suite.cluster if suite else ClusterShape())
    return replace(suite, cluster=shape) if suite else None


def secrets(recipe: Document | None) -> dict[str, dict[str, str]]:
    """Return the secrets of the file, all of whose faults beyond the schema are reported."""
    if recipe is None:
        return {}
    found = secrets_of(recipe.value)
    for name, one in found.items():
        where = ("secrets", name)
        if not one.keys() & {SECRET_MANAGER, FILE, ENVIRONMENT}:
            hint = f"add {SECRET_MANAGER} for Google Cloud, and {FILE} or {ENVIRONMENT} for this computer"
            recipe.error(f"it is not known where the secret {name} is", hint, *where)
        if FILE in one and ENVIRONMENT in one:
            recipe.error(f"the secret {name} has a {FILE} and an {ENVIRONMENT}", "keep one of them", *where, FILE)
        if SECRET_MANAGER in one and not one.get(VERSION, "1").isdecimal():
            hint = "write the number of a version: with `latest`, equal digests could have other secrets"
            recipe.error(f"{VERSION} {one[VERSION]!r} of {name} is not one of Secret Manager", hint, *where, VERSION)
    return found


def licence_servers(recipe: Document | None) -> dict[str, str]:
    """Return the licence servers of the file with their places; those that are not written as such are reported."""
    found = {}
    for index, one in enumerate(listed(recipe.value.get(LICENCE_SERVERS)) if recipe else ()):
        where = (LICENCE_SERVERS, index)
        if recipe and isinstance(one, str) and not addresses(one):
            hint = "write for instance 27000@licence.example.org, an entry for each; of a triad all three, with commas"
            recipe.error(f"{quoted(one)} is not port@host", hint, *where)
        elif recipe:
            found[str(one)] = "{}:{}".format(*recipe.place(*where))
    return found


def variants(recipe: Document, suite: Suite | None) -> tuple[Variant, ...]:
    """Return the variants of the matrix in the order of the axes; without a matrix, one without a name."""
    value = recipe.value
    base = Variant(
        references=value.get("references") or {}, owners=tuple(value.get("owners") or ()), tiers=sizes(value)
    )
    _check_references(recipe, ("references",), base.references, suite)
    matrix = value.get("matrix")
    if matrix is None:
        return (base,)
    axes = {axis: _values(axis, given) for axis, given in matrix["axes"].items()}
    _check_matches(recipe, axes)
    made: dict[str, Variant] = {}
    for where, point, substitutions in _points(recipe, axes):
        parts = [slug(value) for value in point.values()]
        name = "-".join(parts)
        if "" in parts:
            empty = list(point.values())[parts.index("")]
            recipe.error(f"value {quoted(empty)} has no letter or digit for a name", "name it otherwise", *where)
        elif name in made:
            recipe.error(f"duplicate variant {name}", "make the names of the values differ", *where)
        else:
            made[name] = _variant(recipe, replace(base, name=name, substitutions=substitutions), point, suite)
    if not made:
        recipe.error("the matrix has no point left", "exclude less", "matrix")
    return tuple(made.values())


def check_taken(
    recipe: Document, substitutions: Iterable[str], variables: Iterable[str], points: Iterable[Variant]
) -> None:
    """Warn about substitutions of the matrix that neither a step nor a variable of the template takes."""
    taken = {*substitutions, *(f"_{name.upper()}" for name in variables), FAMILY, SOURCE_FAMILY, SOURCE_PROJECT}
    for name in dict.fromkeys(key for point in points for key in point.substitutions):
        if name not in taken:
            hint = "add it to the substitutions of cloudbuild.yaml, or declare the variable in packer.json"
            recipe.warn(f"nothing uses {name}", hint, "matrix")


def _values(axis: str, given: Any) -> dict[str, dict[str, str]]:
    """Name of each value to its substitutions; a plain value sets the axis' own, ``_TARGET_ARCH`` for target_arch."""
    if isinstance(given, list):
        return {scalar(value): {f"_{axis.upper()}": scalar(value)} for value in given}
    return {name: _texts(substitutions) for name, substitutions in given.items()}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: scalar(value) for key, value in values.items()}


def slug(value: str) -> str:
    """Return a value as part of a name: lower-case letters, digits and -."""
    return _NOT_NAME.sub("-", value.lower()).strip("-")


def _points(
    recipe: Document, axes: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> Iterator[tuple[Where, Combination, dict[str, str]]]:
    """Place, point and substitutions: the product without what is excluded, then what is included."""
    matrix = recipe.value["matrix"]
    count = 0
    for names in itertools.product(*axes.values()):
        point = dict(zip(axes, names, strict=True))
        if any(_matches(match, point) for match in matrix.get("exclude") or []):
            continue
        count += 1
        if count > MOST:
            recipe.error(f"the matrix has more than {MOST} points", "exclude some, or make packages of them", "matrix")
            return
        merged = {key: text for axis in axes for key, text in axes[axis][point[axis]].items()}
        yield ("matrix", "axes"), point, merged
    for index, entry in enumerate(matrix.get("include") or []):
        point = {axis: scalar(value) for axis, value in entry["point"].items()}
        merged = {key: text for axis in axes for key, text in axes[axis].get(point.get(axis, ""), {}).items()}
        yield ("matrix", "include", index), point, merged | _texts(entry.get("substitutions") or {})


def _matches(match: Mapping[str, Any], point: Combination) -> bool:
    return all(point.get(axis) == scalar(value) for axis, value in match.items())


def _check_matches(recipe: Document, axes: Mapping[str, Mapping[str, Any]]) -> None:
    """Axes and values that exclude and variants name, and the matrix has not."""
    matrix = recipe.value["matrix"]
    included = [entry["point"] for entry in matrix.get("include") or []]
    known = {axis: {*values, *(scalar(p[axis]) for p in included if axis in p)} for axis, values in axes.items()}
    named: list[tuple[Where, Mapping[str, Any]]] = []
    named += [(("matrix", "exclude", index), match) for index, match in enumerate(matrix.get("exclude") or [])]
    for index, entry in enumerate(matrix.get("variants") or []):
        named.append((("matrix", "variants", index, "match"), entry["match"]))
    for where, match in named:
        for axis, value in match.items():
            if scalar(value) not in known.get(axis, ()):
                hint = f"known: {', '.join(sorted(known[axis]))}" if axis in known else f"axes: {', '.join(axes)}"
                recipe.error(f"{axis}: {quoted(value)} is not in the matrix", hint, *where)


def _variant(recipe: Document, variant: Variant, point: Combination, suite: Suite | None) -> Variant:
    """Return the variant with the matrix' family and all entries of ``variants`` that match it, in their order."""
    matrix = recipe.value["matrix"]
    if "family" in matrix:
        variant = _named(recipe, variant, matrix["family"], point, ("matrix", "family"))
    for index, entry in enumerate(matrix.get("variants") or []):
        if _matches(entry["match"], point):
            variant = _over(recipe, variant, index, point, suite)
    return variant


def _named(recipe: Document, variant: Variant, family: str, point: Combination, where: Where) -> Variant:
    """Return the variant with its family, in which ``{axis}`` is replaced by the value's name."""
    filled = family
    for axis, value in point.items():
        filled = filled.replace(f"{{{axis}}}", slug(value))
    if "{" in filled:
        recipe.error(f"family {quoted(family)} names no axis", f"axes: {', '.join(point)}", *where)
        return variant  # with the family that it would have without
    return replace(variant, substitutions={**variant.substitutions, FAMILY: filled})


def _over(recipe: Document, variant: Variant, index: int, point: Combination, suite: Suite | None) -> Variant:
    """Return the variant with the changes of one entry of ``variants``."""
    where = ("matrix", "variants", index)
    entry = recipe.value["matrix"]["variants"][index]
    values = {**variant.substitutions, **_texts(entry.get("substitutions") or {})}
    if "parent" in entry:
        values[SOURCE_FAMILY] = entry["parent"]
    variant = replace(variant, substitutions=values)
    if "family" in entry:
        variant = _named(recipe, variant, entry["family"], point, (*where, "family"))
    shape = variant.cluster or (suite.cluster if suite else ClusterShape())
    if "cluster" in entry:
        shape = from_recipe(recipe, (*where, "cluster"), entry["cluster"], shape)
        variant = replace(variant, cluster=shape)
    if "partitions" in entry:
        variant = replace(variant, cluster=_only(recipe, shape, entry["partitions"], where))
    references = dict(variant.references)
    given = entry.get("references") or {}
    _check_references(recipe, (*where, "references"), given, suite)
    for directory, metrics in given.items():
        references[directory] = {**references.get(directory, {}), **metrics}
    owners = tuple(entry.get("owners") or variant.owners)
    tiers = {tier: {**variant.tiers.get(tier, {}), **given} for tier, given in sizes(entry).items()}
    return replace(variant, references=references, owners=owners, tiers={**variant.tiers, **tiers})


def _check_references(recipe: Document, where: Where, references: Mapping[str, Any], suite: Suite | None) -> None:
    for directory, job in jobs_of(recipe, suite, where, references).items():
        check_references(recipe, (*where, directory), references[directory], job)


def _only(recipe: Document, shape: ClusterShape, names: list[str], where: Where) -> ClusterShape:
    """Return the cluster with only those partitions, in that order."""
    known = {partition.name: partition for partition in shape.partitions}
    for index, name in enumerate(names):
        if name not in known:
            hint = f"the cluster has {', '.join(known)}"
            recipe.error(f"unknown partition {name}", hint, *where, "partitions", index)
    return replace(shape, partitions=tuple(known[name] for name in names if name in known) or shape.partitions)
