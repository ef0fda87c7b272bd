"""Orders as values: everything that an oven needs for a bake, and that a Fluid-Run needs for a test of an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.errors import InputError, Problem
from bakery.plan.image_labels import ARCHITECTURE_LABEL, REVISION_LABEL
from bakery.plan.model import ImagePlan
from bakery.plan.summary import Base
from bakery.recipe.model import Json, SourceFile, Suite


@dataclass(frozen=True)
class BakeOrder:
    """The order to bake one image, which the program writes to ``<state>/orders/<name>.json``.

    It has the paths of the sources, not their contents: the oven copies them into its workspace and checks each
    ``sha256``, so that a file that was edited during an ``up`` is not baked. Of secrets it has the places.
    The fields are those of :class:`bakery.plan.model.ImagePlan`.
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
    isolation: str = ""
    layers: bool = True
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    licence_servers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunOrder:
    """The order to test one image, which the program writes to ``<state>/orders/<image>-<tests digest>.json``.

    ``env`` and ``env_paths`` are added to the environment of the jobs; the values of ``env_paths`` are paths below the
    workspace. With ``ignore_dependencies`` the jobs of a command group do not wait for each other. ``architecture`` is
    that of :mod:`bakery.plan.architecture`, empty for x86_64.
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
    architecture: str = ""


def bake_order(image: ImagePlan) -> BakeOrder:
    """Return the order to bake the image."""
    return BakeOrder(
        package=image.package,
        variant=image.variant,
        family=image.family,
        name=image.name,
        digest=image.digest,
        base=image.base,
        template=image.template,
        template_path=image.template_path,
        build=image.build,
        variables=image.variables,
        substitutions=image.substitutions,
        files=image.files,
        labels=image.labels,
        inputs=image.inputs,
        timeout=image.timeout,
        isolation=image.isolation,
        layers=image.layers,
        secrets=image.secrets,
        licence_servers=image.licence_servers,
    )


def run_order(image: ImagePlan) -> RunOrder:
    """Return the order to test the image. Raises InputError if its recipe has no tests.

    ``compiler`` and ``target_arch`` are the recipe's substitutions that rcc-run stores under these names.
    """
    if image.tests is None:
        hint = "write a fluidrun.yaml"
        raise InputError([Problem(image.template_path, 1, f"{image.family} has no tests", hint)])
    return RunOrder(
        image=image.name,
        digest=image.tests.digest,
        package=image.package,
        variant=image.variant,
        suite=image.tests.suite,
        files=image.tests.files,
        git_sha=image.labels.get(REVISION_LABEL, ""),
        architecture=image.labels.get(ARCHITECTURE_LABEL, ""),
        compiler=_setting(image, "compiler"),
        target_arch=_setting(image, "target_arch"),
    )


def _setting(image: ImagePlan, name: str) -> str:
    return image.substitutions.get(f"_{name.upper()}") or image.variables.get(name, "")
