"""Links images to their bases: which are selected, in which order, from which base image.

Whole plans (:mod:`bakery.plan.plan`) and summaries (:mod:`bakery.plan.summaries`) are linked by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from bakery.errors import Problem, Severity, errors_among
from bakery.lock.model import Lock, LockedBase
from bakery.plan import graph
from bakery.plan.graph import Node
from bakery.plan.summary import Base, ImageSummary
from bakery.recipe import image_names
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.recipe.model import Recipes
    from bakery.recipe.packages import Packages

Image = TypeVar("Image", bound=ImageSummary)


class UnlinkedImage(NamedTuple, Generic[Image]):
    """An image whose base is not known yet: its node of the graph, and a function from a base to the image."""

    node: Node
    image: Callable[[Base], Image]


def link(
    settings: Settings,
    unlinked: Sequence[UnlinkedImage[Image]],
    source: Recipes | Packages,
    bases: Bases,
) -> tuple[tuple[Image, ...], tuple[Problem, ...]]:
    """Return the images of the selected packages and their ancestors, parents first, and all problems.

    ``source`` is the tree that the images come from. Images that cannot be planned are left out.
    """
    chosen, problems = select(settings, unlinked)
    packages = {image.node.package for image in chosen}
    names = source.broken | {image.node.package for image in unlinked}
    problems += [_downgraded(problem, settings, source, names, packages) for problem in source.problems]
    problems += [problem for image in chosen for problem in _node_problems(image.node)]
    drawn = graph.build([image.node for image in chosen], source.broken)
    images: dict[int, Image] = {}
    for index in drawn.order:
        parent = images.get(drawn.parents.get(index, -1))
        base = Base(parent.family, parent.name, parent.digest) if parent else bases.base(chosen[index].node)
        images[index] = chosen[index].image(base)
        problems += _other_architecture(chosen[index].node, chosen[drawn.parents[index]].node) if parent else []
    problems += [*drawn.problems, *bases.problems]
    if any(image.node.needs for image in chosen):
        from bakery.plan.machines import feature_problems  # most recipes need none

        problems += feature_problems([image.node for image in chosen], drawn.order, drawn.parents)
    valid = tuple(image for image in images.values() if image_names.family_fault(image.family) is None)
    if not valid and not errors_among(problems):  # a stack without images would give up all its families
        hint = "add a package, set packages to their folder, or check out its submodule"
        problems.append(Problem(source.folder, 1, "no package is left to bake", hint))
    return valid, tuple(sorted(set(problems)))


def prefixed(unlinked: Sequence[UnlinkedImage[Image]], prefix: str) -> list[UnlinkedImage[Image]]:
    """Return the images, of which those baked from another one of the same prefix name it as their base.

    The recipes name their bases without the prefix of the stack's families.
    """
    if not prefix:
        return [*unlinked]
    families = {image.node.family for image in unlinked}

    def named(node: Node) -> Node:
        base = f"{prefix}-{node.base_family}"
        return node._replace(base_family=base) if base in families else node

    return [image._replace(node=named(image.node)) for image in unlinked]


def select(
    settings: Settings, unlinked: Sequence[UnlinkedImage[Image]]
) -> tuple[list[UnlinkedImage[Image]], list[Problem]]:
    """Return the images of the selected packages and of those they are baked from, in the given order."""
    if not settings.select:
        return list(unlinked), []
    packages = {image.node.package for image in unlinked}
    problems = [
        Problem(f"Pulumi.{settings.stack}.yaml", 1, f"select names an unknown package {name}", _known(packages))
        for name in settings.select
        if name not in packages
    ]
    by_family = {image.node.family: image.node for image in reversed(unlinked)}
    selected: set[int] = set()
    for image in unlinked:
        node: Node | None = image.node if image.node.package in settings.select else None
        while node is not None and id(node) not in selected:
            selected.add(id(node))
            node = by_family.get(node.base_family)
    return [image for image in unlinked if id(image.node) in selected], problems


def _known(packages: Iterable[str]) -> str:
    return f"use one of: {', '.join(sorted(packages))}" if packages else "add a package: the tree has none"


def _owner(problem: Problem, settings: Settings, folder: str, names: Collection[str]) -> str:
    """Return the package of a problem; "" if it is about none.

    ``folder`` is that of the packages, whose ``names`` may be at any depth.
    """
    above = "" if folder == "." else f"{folder}/"
    path = problem.file.removeprefix(above)
    if not problem.file.startswith(above) or (settings.packages / path).is_relative_to(settings.common):
        return ""
    parts = path.split("/")
    return next((name for name in parts if name in names), parts[0] if len(parts) > 1 else "")


def _downgraded(
    problem: Problem, settings: Settings, source: Recipes | Packages, names: Collection[str], packages: set[str]
) -> Problem:
    """Return the problem, as a warning if its package is not planned: it must not stop the others."""
    owner = _owner(problem, settings, source.folder, names) if settings.select else ""
    if not owner or owner in packages or owner in settings.select:
        return problem
    return replace(problem, severity=Severity.WARNING)


def _node_problems(node: Node) -> Iterator[Problem]:
    for message, hint in node.faults:
        yield Problem(*node.at, f"{node.title}: {message}", hint)
    if fault := image_names.family_fault(node.family):
        yield Problem(*node.at, f"{node.title}: {fault[0]}", fault[1])
    if node.base_family and (fault := image_names.base_fault(node.base_family)):
        yield Problem(*node.base_at, f"{node.title}: {fault[0]}", fault[1])


def _other_architecture(node: Node, parent: Node) -> list[Problem]:
    """Return the problem of an image that no machine can bake from its parent."""
    if not node.architecture or parent.architecture in (node.architecture, ""):
        return []
    from bakery.plan import architecture  # hardly ever needed

    message = (
        f"{node.title}: the image is for {node.architecture}, and its base {parent.family} for {parent.architecture}"
    )
    return [Problem(*node.base_at, message, architecture.HINT)]


class Bases:
    """External base images from the lock. Each one that is missing is one problem, at its first use.

    The problem is an error, or, unless every base must be ``locked``, a warning; then the images baked from it have
    provisional digests.
    """

    def __init__(self, settings: Settings, lock: Lock, locked: bool) -> None:
        self.place = settings.bases
        self.images = settings.base_images
        self.hint = f"run: bakery lock --stack {settings.stack}"
        self.lock = lock
        self.locked = locked
        self.missing: dict[tuple[str, str], Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The missing base images."""
        return tuple(self.missing.values())

    def base(self, node: Node) -> Base:
        """Return the base image of a node that has no parent."""
        family, project = node.base_family, node.base_project
        locked = self.lock.find(self.place, project, family)
        message = f"base image {project}/{family} is not in the lock file"
        if locked and not locked.origin and f"{project}/{family}" in self.images:
            locked, message = None, f"base image {project}/{family} is locked as another one than local.bases names"
        if locked is None:
            severity = Severity.ERROR if self.locked else Severity.WARNING
            message += "" if self.locked else " (the names of images baked from it are provisional)"
            self.missing.setdefault((project, family), Problem(*node.base_at, message, self.hint, severity))
            locked = LockedBase(family, f"unlocked:{project}/{family}")
        return Base(family, locked.name, locked.identity, project, locked.origin)
