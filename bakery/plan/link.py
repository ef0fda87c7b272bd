"""From seeds to images: which are wanted, in which order, from which base. The same for whole plans and outlines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from bakery.errors import Problem, Severity
from bakery.lock.model import Lock, LockedBase
from bakery.plan import graph
from bakery.plan.graph import Node
from bakery.plan.model import Base, ImageSummary
from bakery.recipe import image_names
from bakery.recipe.model import Packages, Recipes
from bakery.settings import Settings

Image = TypeVar("Image", bound=ImageSummary)


@dataclass(frozen=True)
class UnlinkedImage(Generic[Image]):
    """An image whose base is not known yet: its place in the graph, and what it is with a base."""

    node: Node
    image: Callable[[Base], Image]


def lay_out(
    settings: Settings,
    seeds: Sequence[UnlinkedImage[Image]],
    read: Recipes | Packages,
    bases: Bases,
) -> tuple[tuple[Image, ...], tuple[Problem, ...]]:
    """The images of the selected packages and their ancestors, parents first, and all problems with them.

    ``read`` is where the seeds come from. What can't be planned is left out.
    """
    chosen, found = selected(settings, seeds)
    packages = {seed.node.package for seed in chosen}
    found += [_weighed(problem, settings, read.folder, packages) for problem in read.problems]
    found += [problem for seed in chosen for problem in _named_wrong(seed.node)]
    drawn = graph.build([seed.node for seed in chosen], read.broken)
    images: dict[int, Image] = {}
    for index in drawn.order:
        parent = images.get(drawn.parents.get(index, -1))
        base = Base(parent.family, parent.name, parent.digest) if parent else bases.base(chosen[index].node)
        images[index] = chosen[index].image(base)
    found += [*drawn.problems, *bases.problems]
    right = tuple(image for image in images.values() if image_names.family_fault(image.family) is None)
    return right, tuple(sorted(set(found)))


def selected(
    settings: Settings, seeds: Sequence[UnlinkedImage[Image]]
) -> tuple[list[UnlinkedImage[Image]], list[Problem]]:
    """The seeds of the selected packages and of what they are baked from, in the given order."""
    if not settings.select:
        return list(seeds), []
    there = {seed.node.package for seed in seeds}
    problems = [
        Problem(f"Pulumi.{settings.stack}.yaml", 1, f"select names {name}, which is no package", _known(there))
        for name in settings.select
        if name not in there
    ]
    by_family = {seed.node.family: seed.node for seed in reversed(seeds)}
    wanted: set[int] = set()
    for seed in seeds:
        at: Node | None = seed.node if seed.node.package in settings.select else None
        while at is not None and id(at) not in wanted:
            wanted.add(id(at))
            at = by_family.get(at.base_family)
    return [seed for seed in seeds if id(seed.node) in wanted], problems


def _known(packages: Iterable[str]) -> str:
    return "known: " + ", ".join(sorted(packages)) if packages else "there is none"


def _owner(problem: Problem, settings: Settings, folder: str) -> str:
    """The package that a problem is about; empty when it is about none. ``folder`` is that of the packages."""
    above = "" if folder == "." else f"{folder}/"
    package, inside, _ = problem.file.removeprefix(above).partition("/")
    if not inside or not problem.file.startswith(above) or settings.common == settings.packages / package:
        return ""
    return package


def _weighed(problem: Problem, settings: Settings, folder: str, packages: set[str]) -> Problem:
    """The problem; one of a package that is not planned does not stop the others."""
    owner = _owner(problem, settings, folder)
    if not settings.select or not owner or owner in packages or owner in settings.select:
        return problem
    return replace(problem, severity=Severity.WARNING)


def _named_wrong(node: Node) -> Iterator[Problem]:
    if fault := image_names.family_fault(node.family):
        yield Problem(*node.at, f"{node.title}: {fault[0]}", fault[1])
    if node.base_family and (fault := image_names.base_fault(node.base_family)):
        yield Problem(*node.base_at, f"{node.title}: {fault[0]}", fault[1])


class Bases:
    """External base images out of the lock; each one that is missing is one problem, at its first use.

    It is an error, or, unless everything has to be ``locked``, a warning; what stands on it has a provisional digest.
    """

    def __init__(self, settings: Settings, lock: Lock, locked: bool) -> None:
        self.where = settings.bases
        self.hint = f"run: bakery lock --stack {settings.stack}"
        self.lock = lock
        self.locked = locked
        self.missing: dict[tuple[str, str], Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing."""
        return tuple(self.missing.values())

    def base(self, node: Node) -> Base:
        """The base image of a node that has no parent."""
        family, project = node.base_family, node.base_project
        found = self.lock.find(self.where, project, family)
        if found is None:
            severity = Severity.ERROR if self.locked else Severity.WARNING
            message = f"base image {project}/{family} is not in the lock file"
            message += "" if self.locked else " (names of what stands on it are provisional)"
            self.missing.setdefault((project, family), Problem(*node.base_at, message, self.hint, severity))
            found = LockedBase(family, f"unlocked:{project}/{family}")
        return Base(family, found.name, found.identity, project)
