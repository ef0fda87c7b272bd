"""The plan: recipes, settings and lock to images in graph order, each with digest, name and all that bakes it.

No I/O, no clock, no machine: the same input gives the same plan everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from bakery.errors import InputError, Problem, Severity
from bakery.plan import digest, graph, names
from bakery.plan.expand import Point, builtins, counted, named, points, suite_of
from bakery.plan.lock import Lock, LockedBase, place
from bakery.plan.model import Base, ImagePlan, Plan, TestPlan
from bakery.plan.reach import reaching, tested
from bakery.plan.render import references
from bakery.plan.template import immutable, outside, shaping
from bakery.recipe.model import Recipe, Recipes
from bakery.settings import Settings


def make(settings: Settings, recipes: Recipes, lock: Lock, revision: str = "") -> Plan:
    """The plan of the selected images and their ancestors; ``revision`` is the git commit for the labels.

    Raises InputError with every problem that stops it, the recipes' and its own.
    """
    plan = draft(settings, recipes, lock, revision)
    errors = [problem for problem in plan.problems if problem.severity is Severity.ERROR]
    if errors:
        raise InputError(errors)
    return plan


def draft(settings: Settings, recipes: Recipes, lock: Lock, revision: str = "", *, locked: bool = True) -> Plan:
    """The plan as far as it goes, with all problems.

    An external base that the lock does not know is an error, or, unless everything has to be ``locked``, a warning;
    its image then has a provisional digest.
    """
    found = _expanded(settings, recipes, revision)
    chosen, problems = _selected(settings, found)
    packages = {point.recipe.name for point in chosen}
    problems += [_weighed(problem, settings, packages) for problem in recipes.problems]
    problems += [problem for point in chosen if (problem := _named_wrong(point))]
    drawn = graph.build([point.node for point in chosen], recipes.broken)
    bases = _Bases(settings, lock, locked)
    images: dict[int, ImagePlan] = {}
    for index in drawn.order:
        point = chosen[index]
        parent = images.get(drawn.parents.get(index, -1))
        base = _parent(parent) if parent else bases.base(point)
        images[index] = _image(point, base, settings, revision)
    problems += [*drawn.problems, *bases.problems]
    return Plan(tuple(images[index] for index in images if _nameable(images[index])), tuple(sorted(set(problems))))


def _expanded(settings: Settings, recipes: Recipes, revision: str) -> list[Point]:
    known = builtins(settings, revision)
    return [point for recipe in recipes.recipes for point in points(recipe, settings, known)]


def _selected(settings: Settings, found: Sequence[Point]) -> tuple[list[Point], list[Problem]]:
    """The points of the selected packages and of what they are baked from, in the given order."""
    if not settings.select:
        return list(found), []
    there = {point.recipe.name for point in found}
    problems = [
        Problem(f"Pulumi.{settings.stack}.yaml", 1, f"select names {name}, which is no package", _known(there))
        for name in settings.select
        if name not in there
    ]
    by_family = {point.node.family: point for point in reversed(found)}
    wanted: set[int] = set()
    for point in found:
        at: Point | None = point if point.recipe.name in settings.select else None
        while at is not None and id(at) not in wanted:
            wanted.add(id(at))
            at = by_family.get(at.node.base_family)
    return [point for point in found if id(point) in wanted], problems


def _known(packages: Iterable[str]) -> str:
    return "known: " + ", ".join(sorted(packages)) if packages else "there is none"


def _weighed(problem: Problem, settings: Settings, packages: set[str]) -> Problem:
    """The problem; one of a package that is not planned does not stop the others."""
    parts = PurePosixPath(problem.file).parts
    folder = settings.packages.name
    owner = parts[parts.index(folder) + 1] if folder in parts[:-2] else ""
    if not settings.select or not owner or owner in packages or owner in settings.select:
        return problem
    return replace(problem, severity=Severity.WARNING)


def _named_wrong(point: Point) -> Problem | None:
    fault = names.family_fault(point.node.family)
    return Problem(*point.node.at, f"{point.node.title}: {fault[0]}", fault[1]) if fault else None


def _nameable(image: ImagePlan) -> bool:
    return names.family_fault(image.family) is None


def _parent(image: ImagePlan) -> Base:
    return Base(image.family, image.name, image.digest)


class _Bases:
    """External base images out of the lock; each one that is missing is one problem, at its first use."""

    def __init__(self, settings: Settings, lock: Lock, locked: bool) -> None:
        self.where = place(settings.oven)
        self.hint = f"run: bakery lock --stack {settings.stack}"
        self.lock = lock
        self.locked = locked
        self.missing: dict[tuple[str, str], Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.missing.values())

    def base(self, point: Point) -> Base:
        family, project = point.node.base_family, point.node.base_project
        found = self.lock.find(self.where, project, family)
        if found is None:
            severity = Severity.ERROR if self.locked else Severity.WARNING
            message = f"base image {project}/{family} is not in the lock file"
            message += "" if self.locked else " (names of what stands on it are provisional)"
            problem = Problem(*point.node.base_at, message, self.hint, severity)
            self.missing.setdefault((project, family), problem)
            found = LockedBase(family, f"unlocked:{project}/{family}")
        return Base(family, found.name, found.identity, project, found.url)


def _material(point: Point, base: Base, nonce: str) -> digest.Material:
    template = point.recipe.template
    provisioners = template.get("provisioners") or []
    options = shaping(template)
    reached = (references(provisioners) | references(options)) - outside(template)
    return digest.Material(
        base=base.digest,
        base_family=base.family,
        files=reaching(point.recipe, point.variables),
        provisioners=provisioners,
        builder=options,
        variables=counted({name: value for name, value in point.symbolic.items() if name in reached}),
        nonce=nonce,
    )


def _image(point: Point, base: Base, settings: Settings, revision: str) -> ImagePlan:
    recipe, node = point.recipe, point.node
    material = _material(point, base, settings.nonce.get(node.family) or settings.nonce.get(recipe.name, ""))
    identity = digest.digest(material)
    name = names.image_name(node.family, identity)
    labels = names.labels(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        digest=identity,
        parent=base.name,
        revision=revision,
    )
    variables, substitutions = named(point, name)
    return ImagePlan(
        package=recipe.name,
        variant=node.variant,
        family=node.family,
        name=name,
        digest=identity,
        base=base,
        template=immutable(recipe.template, name=name, base=base.name, external=base.external, labels=labels),
        template_path=f"{recipe.workspace_path}/packer.json",
        build=recipe.build,
        variables=variables,
        substitutions=substitutions,
        files=material.files,
        labels=labels,
        inputs=digest.manifest(material),
        timeout=recipe.timeout,
        tests=_tests(recipe, point),
    )


def _tests(recipe: Recipe, point: Point) -> TestPlan | None:
    suite = suite_of(point)
    if suite is None:
        return None
    files = tested(recipe, suite)
    identity, inputs = digest.tests_digest(suite, files)
    return TestPlan(identity, suite, files, inputs)


def external_bases(settings: Settings, recipes: Recipes) -> tuple[tuple[str, str], ...]:
    """Project and family of every base image from outside that the selected images need, sorted."""
    chosen, _ = _selected(settings, _expanded(settings, recipes, ""))
    families = {point.node.family for point in chosen}
    nodes = [point.node for point in chosen]
    found = {(node.base_project, node.base_family) for node in nodes if node.base_family not in families}
    return tuple(sorted(key for key in found if all(key)))


def by_family(plan: Plan) -> Mapping[str, ImagePlan]:
    """The plan's images by family."""
    return {image.family: image for image in plan.images}
