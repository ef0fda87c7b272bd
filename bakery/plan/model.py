"""The plan as frozen values: what will be baked, from what, under which name, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bakery.errors import Problem
from bakery.plan.summary import ImageSummary
from bakery.recipe.model import Json, Partition, SourceFile, Suite


@dataclass(frozen=True)
class SuitePlan:
    """What proves an image. ``inputs`` names all that the ``digest`` holds: file or setting to a short digest."""

    digest: str
    suite: Suite
    files: tuple[SourceFile, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)


def partitions(tests: SuitePlan | None) -> tuple[Partition, ...]:
    """Return the partitions that an image is tested on; without tests, the one that it gets."""
    return tests.suite.cluster.partitions if tests else (Partition("debug"),)


def partition_names(family: str, tests: SuitePlan | None) -> tuple[str, ...]:
    """Return the names of the same partitions in a cluster of several images."""
    found = partitions(tests)
    return tuple(f"{family}-{one.name}" for one in found) if len(found) > 1 else (family,)


@dataclass(frozen=True, kw_only=True)
class ImagePlan(ImageSummary):
    """One image of the plan, with all that bakes and tests it.

    ``variables`` are the Packer variables after substitution; ``substitutions`` those of the Cloud Build request;
    ``files`` the staged workspace; ``folder`` that of the package; ``timeout`` in seconds; ``isolation`` where it has
    to be baked, if the recipe says so; ``layers`` whether its steps may be kept for the next bake;
    ``secrets`` what the bake is given, see :mod:`bakery.recipe.secrets`; ``licence_servers`` has the place of
    each that has to answer before it, see :mod:`bakery.recipe.licence_servers`; ``smoke`` are tests that an image which
    is taken from another stack runs here, where it is proven.
    """

    template: Json
    template_path: str
    build: Json
    variables: Mapping[str, str]
    substitutions: Mapping[str, str]
    files: tuple[SourceFile, ...]
    labels: Mapping[str, str]
    timeout: int
    folder: Path
    tests: SuitePlan | None = None
    isolation: str = ""
    layers: bool = True
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    licence_servers: Mapping[str, str] = field(default_factory=dict)
    smoke: SuitePlan | None = None


def lineage(image: ImagePlan, images: Mapping[str, ImagePlan]) -> Iterator[ImagePlan]:
    """Return an image and its ancestors, nearest first; ``images`` are the plan's, by family."""
    current: ImagePlan | None = image
    while current is not None:
        yield current
        current = None if current.base.external else images.get(current.base.family)


@dataclass(frozen=True)
class Plan:
    """The images in graph order (a parent comes before its children) and the problems that only warn."""

    images: tuple[ImagePlan, ...]
    problems: tuple[Problem, ...] = ()
