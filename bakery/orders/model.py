"""Orders as values: all that an oven needs for a bake, and all that a Fluid-Run needs for a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.plan.summary import Base
from bakery.recipe.model import Json, SourceFile, Suite


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


@dataclass(frozen=True)
class RunOrder:
    """All that a Fluid-Run needs; written by the program as ``<state>/orders/<image>-<tests digest>.json``.

    ``env`` is added to the environment of the jobs; ``env_paths`` too, its values are paths below the workspace. With
    ``ignore_dependencies`` the jobs of a command group do not wait for each other.
    """

    __test__ = False  # not a pytest class

    image: str
    digest: str
    package: str
    variant: str
    suite: Suite
    files: tuple[SourceFile, ...]
    git_sha: str
    compiler: str
    target_arch: str
    env: Mapping[str, str] = field(default_factory=dict)
    env_paths: Mapping[str, str] = field(default_factory=dict)
    ignore_dependencies: bool = False
