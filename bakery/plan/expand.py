"""Expands recipes: one variant for each image, with its variables filled in and its family."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from bakery.plan import architecture, machines
from bakery.plan.graph import Node
from bakery.plan.secret_sources import secret_faults
from bakery.plan.template import BUILDER_NAMES, builder, for_builder, public_project, source_project
from bakery.recipe.build_files import build_files
from bakery.recipe.expressions import fill
from bakery.recipe.model import BuildCalls, Json, Recipe, Suite, Variant
from bakery.recipe.packer_call import build_calls, steps, with_choices
from bakery.recipe.parse.document import texts
from bakery.recipe.provisioners import runs_here
from bakery.recipe.references import with_references
from bakery.recipe.substitutions import dynamic, substitute
from bakery.recipe.templating import (
    FAMILY,
    GOOGLE_BUILDER,
    NOT_FOLLOWED,
    SOURCE_FAMILY,
    SOURCE_PROJECT,
    builder_name,
    declared,
    environment,
    only_reference,
    passed,
    resolve,
    settable,
)
from bakery.recipe.tiers import with_sizes
from bakery.settings import Settings
from bakery.settings.cluster import Tier

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_FAMILY = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True)
class VariantInputs:
    """One variant of a recipe, for one builder: the template of ``recipe`` has no other.

    ``provisioners`` are those of the whole template. ``arguments`` are Packer's arguments in ``cloudbuild.yaml``, not
    filled in. ``symbolic`` are the Packer variables in which Cloud Build's built-in names (``$PROJECT_ID``) are kept,
    so that no digest depends on who builds; in ``variables`` these are filled in, too. ``build_files`` are the paths
    that the steps of the build read. ``whole`` is what the bakery can't follow, and so counts as a whole.
    """

    recipe: Recipe
    provisioners: Json
    variant: Variant
    arguments: Mapping[str, str]
    substitutions: Mapping[str, str]
    symbolic: Mapping[str, str]
    variables: Mapping[str, str]
    build_files: tuple[str, ...]
    whole: Mapping[str, Json]
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
        "spack_mirror": spack.mirror or settings.network.mirrors.spack,
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
    """Yield the inputs of every variant, in the recipe's order; ``known`` are the built-in substitutions.

    Several googlecompute builders are variants, too.
    """
    build = recipe.calls or build_calls(recipe.build, recipe.name)
    for variant in recipe.variants:
        template = variant.template or recipe.template
        chosen = with_choices(build, recipe.build, {**recipe.substitutions, **variant.substitutions})
        made = {}
        for name, one in _templates(template, chosen):
            own = chosen if "hcl2" in one else chosen.of(name)
            provisioners = (one if "hcl2" in one else template).get("provisioners") or []
            expand = _Expansion(own, settings, known)
            made[name] = expand.inputs(replace(recipe, template=one), variant, provisioners)
        families = {inputs.node.family for inputs in made.values()}
        for name, inputs in made.items():
            yield inputs if len(made) == 1 else _of_builder(inputs, name, len(families) == len(made))


def _templates(template: Json, build: BuildCalls) -> list[tuple[str, Json]]:
    """Return the templates that make an image each, which have one builder, and names that tell them apart."""
    if "hcl2" not in template:
        return [(builder_name(one), _reduced(template, one)) for one in _builders(template, build)]
    extras = dict(template["hcl2"])
    made = [{**template, "hcl2": extras}, *extras.pop("others", ())]
    names = [builder_name(builder(one)) for one in made]
    if len(set(names)) < len(names):  # two builds use the same source
        builds = [one["hcl2"].get("build", number) for number, one in enumerate(made, 1)]
        names = [f"{build}-{name}" for build, name in zip(builds, names, strict=True)]
    return list(zip(names, made, strict=True))


def _builders(template: Json, build: BuildCalls) -> list[Mapping[str, Json]]:
    """Return the builders that make an image each: the googlecompute ones that the build does not leave out."""
    entries = [entry for entry in template.get("builders") or [] if entry.get("type") == GOOGLE_BUILDER]
    wanted = [one for one in entries if not build.calls or build.bakes(builder_name(one))]
    return wanted or entries[:1] or [builder(template)]


def _reduced(template: Json, options: Mapping[str, Json]) -> Json:
    return for_builder(template, options) if options else template


def _of_builder(inputs: VariantInputs, name: str, own_family: bool) -> VariantInputs:
    """Return the inputs of one of several builders; its name tells them apart if their families do not."""
    node = inputs.node
    suffix = _NOT_FAMILY.sub("-", name.lower()).strip("-")
    family = node.family if own_family or not node.family else f"{node.family}-{suffix}"
    node = node._replace(variant="-".join(filter(None, (node.variant, name))), family=family)
    return replace(inputs, node=node, whole={**inputs.whole, BUILDER_NAMES: name})


@dataclass(frozen=True)
class _Expansion:
    """What all variants of a recipe share."""

    build: BuildCalls
    settings: Settings
    known: Mapping[str, str]

    def inputs(self, recipe: Recipe, variant: Variant, provisioners: Json) -> VariantInputs:
        """Return the inputs for the builder of the recipe's template; ``provisioners`` are all that its file has."""
        names = recipe.template.get("variables") or {}
        spack = {name: value for name, value in spack_variables(self.settings).items() if name in names}
        defaults = declared(recipe.template) | spack
        substitutions = dynamic(recipe.build, {**recipe.substitutions, **variant.substitutions})
        files = tuple(posixpath.normpath(substitute(path, substitutions)) for path in self.build.files)
        arguments = self.arguments(recipe, files)
        whole = {**recipe.template, "provisioners": provisioners}
        wanted = settable(whole, defaults, arguments, variant.substitutions)
        given = passed(arguments, substitutions, wanted, variant.substitutions)
        filled = {name: substitute(text, self.known, last=True) for name, text in given.items()}
        env = {name: substitute(text, substitutions) for name, text in self.build.environment.items()}
        functions = environment(env, self.build.secrets)
        variables = resolve({**defaults, **filled}, functions)
        return VariantInputs(
            recipe=recipe,
            provisioners=provisioners,
            variant=variant,
            arguments=arguments,
            substitutions=substitutions,
            symbolic=resolve({**defaults, **given}, functions),
            variables=variables,
            build_files=(*files, *self.read_by_steps(recipe, substitutions)),
            whole=_whole(recipe, self.build, substitutions),
            node=_node(self.settings, recipe, variant, substitutions, variables),
        )

    def read_by_steps(self, recipe: Recipe, substitutions: Mapping[str, str]) -> tuple[str, ...]:
        """Return the paths that the steps which can't be followed may read."""
        return build_files(recipe.build, self.build, substitutions, recipe.workspace_path, recipe.common_path)

    def arguments(self, recipe: Recipe, files: Iterable[str]) -> dict[str, str]:
        """Return what is passed to Packer, unfilled; ``-var`` wins over a file, and the last file over the others."""
        values = {name: text for path in files for name, text in recipe.variable_files.get(path, {}).items()}
        return {name: text.replace("$", "$$") for name, text in values.items()} | self.build.variables


def _whole(recipe: Recipe, build: BuildCalls, substitutions: Mapping[str, str]) -> dict[str, Json]:
    """Return the steps of the build that can't be followed, with all that they may read."""
    secret = _secrets(recipe.build, {name for call in build.calls for name in call.secrets})
    secret |= _environment(recipe.template, build, substitutions)
    if not build.whole:
        return secret
    listed = steps(recipe.build)
    options = recipe.build.get("options") or {}
    read = {key: options[key] for key in ("env", "secretEnv") if key in options}
    content = {"steps": [listed[index] for index in build.whole], "substitutions": dict(substitutions), "options": read}
    return {"cloudbuild.yaml": content, **secret}


def _environment(template: Json, build: BuildCalls, substitutions: Mapping[str, str]) -> dict[str, Json]:
    """Return the environment that is read by a tool on the machine that bakes, or by an expression left to Packer.

    Packer's own settings do not count.
    """
    entries = template.get("provisioners") or ()
    left = "hcl2" in template and any(NOT_FOLLOWED in text and "env(" in text for text in texts(template))
    if not left and not any(isinstance(entry, Mapping) and runs_here(entry) for entry in entries):
        return {}
    names = [name for name in build.environment if not name.startswith(("PACKER_", "CHECKPOINT_"))]
    values = {name: substitute(build.environment[name], substitutions) for name in sorted(names)}
    return {"cloudbuild.yaml env": values} if values else {}


def _secrets(build: Json, names: Set[str]) -> dict[str, Json]:
    """Return where the secrets are kept that a step which bakes is given: only the build knows their values."""
    kept = build.get("availableSecrets") or {}
    entries = [*(kept.get("secretManager") or ()), *(kept.get("inline") or ()), *(build.get("secrets") or ())]
    found = [one for one in entries if names & {one.get("env"), *(one.get("envMap") or one.get("secretEnv") or ())}]
    return {"cloudbuild.yaml secrets": found} if found else {}


def _node(
    settings: Settings,
    recipe: Recipe,
    variant: Variant,
    substitutions: Mapping[str, str],
    variables: Mapping[str, str],
) -> Node:
    options = builder(recipe.template)
    family = fill(str(options.get("image_family") or ""), variables) or substitutions.get(FAMILY, "")
    if variant.name and FAMILY not in variant.substitutions and family:
        family = f"{family}-{_NOT_FAMILY.sub('-', variant.name.lower()).strip('-')}"
    if family and settings.google.prefix:
        family = f"{settings.google.prefix}-{family}"
    base = fill(str(options.get("source_image") or options.get("source_image_family") or ""), variables)
    base = base or substitutions.get(SOURCE_FAMILY, "")
    project = source_project(options, base, variables) or substitutions.get(SOURCE_PROJECT, "") or public_project(base)
    cluster = variant.cluster or (recipe.suite.cluster if recipe.suite else None)
    image, machine = architecture.of_image(recipe.template, variables)
    fault = architecture.fault(image, machine, cluster, f"{project}/{base}")
    return Node(
        package=recipe.name,
        variant=variant.name,
        family=family,
        base_family=base,
        base_project=project,
        at=recipe.family_at,
        base_at=recipe.base_at,
        faults=(
            *([(fault, architecture.HINT)] if fault else ()),
            *machines.settings_faults(settings, cluster),
            *secret_faults(settings, recipe.secrets),
        ),
        features=machines.features(options, variables),
        needs=machines.needs(cluster),
        architecture=image,
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


def suite_of_variant(inputs: VariantInputs, tier: Tier) -> Suite | None:
    """Return the recipe's tests with the variant's cluster and performance references, and the sizes of the tier."""
    suite = inputs.recipe.suite
    if suite is None:
        return None
    given = inputs.variant.references
    jobs = tuple(with_references(job, given) for job in suite.jobs) if given else suite.jobs
    suite = replace(suite, jobs=jobs, cluster=inputs.variant.cluster or suite.cluster)
    return with_sizes(suite, inputs.variant.tiers, tier)
