"""The packages of a tree before their recipes are built, see :func:`bakery.recipe.load.find_packages`.

The module does not import :mod:`bakery.recipe.model`: a plan without changes needs no recipe, and creating the classes
of that module takes longer than reading a small checkout.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bakery.errors import Problem

if TYPE_CHECKING:
    from bakery.recipe.model import Recipe, Recipes


class Package:
    """A package that can be planned. Its recipe is built on first use.

    ``digest`` is the recipe's digest, ``shown`` the folder as messages name it; ``prepared`` is what was made of the
    package while it was read, if anything was.
    """

    prepared = b""

    def __init__(self, name: str, digest: str, shown: str, make_recipe: Callable[[], Recipe]) -> None:
        self.name = name
        self.digest = digest
        self.shown = shown
        self.make_recipe = make_recipe

    @cached_property
    def recipe(self) -> Recipe:
        """The whole recipe."""
        return self.make_recipe()


class Packages(NamedTuple):
    """All packages of a tree, with the fields of :class:`bakery.recipe.model.Recipes`."""

    packages: tuple[Package, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    folder: str = "packages"

    def recipes(self) -> Recipes:
        """Build the recipes of all packages."""
        from bakery.recipe.model import Recipes

        recipes = tuple(package.recipe for package in self.packages)
        return Recipes(recipes, self.problems, self.broken, self.folder)
