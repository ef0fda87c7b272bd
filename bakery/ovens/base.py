"""What an oven is: the protocol that local, Cloud Build and fake ovens implement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bakery.plan.model import Base
from bakery.progress.activity import Activity
from bakery.recipe.model import Json, SourceFile


@dataclass(frozen=True)
class BakeOrder:
    """All that an oven needs to bake one image; written by the program as ``<state>/orders/<name>.json``.

    Sources are named, not held: the oven copies them into its workspace and checks each ``sha256``, so that an edit
    during an ``up`` is noticed and not baked. Fields as in :class:`bakery.plan.model.ImagePlan`.
    """

    package: str
    variant: str
    family: str
    name: str
    digest: str
    base: Base
    template: Json
    template_path: str
    build: Json
    variables: Mapping[str, str]
    substitutions: Mapping[str, str]
    files: tuple[SourceFile, ...]
    labels: Mapping[str, str]
    inputs: Mapping[str, str]
    timeout: int


class BakeOutcome(StrEnum):
    """How a candidate came to be."""

    BAKED = "baked"
    ADOPTED = "adopted"
    JOINED = "joined"


@dataclass(frozen=True)
class Bake:
    """A finished bake: the image ``name`` is in the library as a candidate. ``seconds`` is wall time."""

    name: str
    outcome: BakeOutcome
    seconds: float
    log: Path | str | None = None


class Oven(Protocol):
    """Bakes images. One bake a digest at a time, ever: a running one is joined, a finished one adopted."""

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Adopt, join or bake the image of ``order``, and publish it atomically as a candidate.

        Raises BakeFailed (the recipe), InfrastructureFailed (the surroundings), MissingTool, Interrupted. Whatever
        happens, no half image, machine, port or lock is left behind.
        """
        ...
