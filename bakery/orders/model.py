"""Orders as values: everything that an oven needs for a bake, and that a Fluid-Run needs for a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.plan.summary import Base
from bakery.recipe.model import Json, SourceFile, Suite


@dataclass(frozen=True)
class BakeOrder:
    """The order to bake one image, which the program writes to ``<state>/orders/<name>.json``.

    It has the paths of the sources, not their contents: the oven copies them into its workspace and checks each
    ``sha256``, so that a file that was edited during an ``up`` is not baked. The fields are those of
    :class:`bakery.plan.model.ImagePlan`.
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
    """The order to test one image, which the program writes to ``<state>/orders/<image>-<tests digest>.json``.

    ``env`` and ``env_paths`` are added to the environment of the jobs; the values of ``env_paths`` are paths below the
    workspace. With ``ignore_dependencies`` the jobs of a command group do not wait for each other.
    """

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
