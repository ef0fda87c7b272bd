"""The packages of a stack: its own, and the shipped ones that its settings name. Its own come first: they override."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery import paths
from bakery.errors import Problem
from bakery.recipe.load import find_packages, gc_paused
from bakery.recipe.packages import Packages

if TYPE_CHECKING:
    from bakery.recipe.load import Prepare
    from bakery.recipe.model import Recipes
    from bakery.settings import Settings


def recipes_of(settings: Settings) -> Recipes:
    """Return all recipes of a stack; see :func:`packages_of`."""
    with gc_paused():
        return packages_of(settings).recipes()


def packages_of(settings: Settings, prepare: Prepare | None = None) -> Packages:
    """Return all packages of a stack, read, hashed and checked. A wrong recipe is a problem, never an exception.

    ``prepare`` as in :func:`bakery.recipe.load.find_packages`. Raises InputError if the stack bakes nothing.
    """
    if (source := settings.source_stack) is not None:
        from bakery.settings.source_stack import wrong  # not needed by a stack that bakes

        text = f"the stack {settings.stack} has no recipes: it takes its images from {source.stack}"
        raise wrong(settings, text, f"do this in the stack that bakes: --stack {source.stack}")
    cache, ref = paths.cache(), settings.spack.ref
    own = find_packages(settings.packages, settings.common, cache, ref, prepare=prepare)
    if not settings.shipped:
        return own
    overridden = {package.name for package in own.packages} | own.broken
    root = paths.shipped()
    known = sorted(path.parent.name for path in (root / "packages").glob("*/packer.json"))
    hint = f"use one of: {', '.join(known)}"
    unknown = [
        Problem(f"Pulumi.{settings.stack}.yaml", 1, f"shipped names an unknown package {name}", hint)
        for name in settings.shipped
        if name not in known
    ]
    wanted = {*settings.shipped} - overridden
    shipped = find_packages(root / "packages", root / "common", cache, ref, only=wanted, prepare=prepare)
    return own._replace(
        packages=tuple(sorted((*own.packages, *shipped.packages), key=lambda package: package.name)),
        problems=tuple(sorted((*own.problems, *shipped.problems, *unknown))),
        broken=own.broken | shipped.broken,
    )
