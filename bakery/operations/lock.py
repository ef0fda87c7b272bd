"""Refreshes the lock file: compares each external base image with the pinned one. ``bakery lock``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InputError, Problem, Uncertain
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, LockedBase, Resolver
from bakery.lock.package_lists import changes
from bakery.plan.plan import external_bases
from bakery.recipe.model import Recipes
from bakery.recipe.roots import recipes_of
from bakery.settings import Place, Settings


class Newer(NamedTuple):
    """A base that has a newer image. ``packages`` has a line for each that differs, None if they are not known."""

    before: LockedBase
    after: LockedBase
    packages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Relocked:
    """The new lock, a line for each base, whether anything changed, and the bases that could not be resolved.

    ``newer`` has the bases that were pinned and have a newer image, by their keys.
    """

    lock: Lock
    lines: tuple[str, ...]
    changed: bool
    problems: tuple[Problem, ...]
    newer: Mapping[str, Newer]


def relock(backend: Backend, *, write: bool = True) -> Relocked:
    """Resolve the bases of all selected images and write the lock file. Raises Uncertain if the network fails."""
    settings = backend.settings
    recipes = recipes_of(settings)
    old = lock_file.read(settings.lock)
    result = refreshed(settings, recipes, old, settings.bases, backend.resolver())
    if write and result.changed:
        lock_file.write(settings.lock, result.lock)
    return result


def refreshed(settings: Settings, recipes: Recipes, old: Lock, where: Place, resolver: Resolver) -> Relocked:
    """Return the refreshed lock. Only the resolver uses the network."""
    lock = old
    lines: list[str] = []
    problems: list[Problem] = []
    newer: dict[str, Newer] = {}
    for project, family in external_bases(settings, recipes):
        before = old.find(where, project, family)
        try:
            now = resolver.resolve(family, project)
        except Uncertain:
            raise
        except InputError as error:
            problems += error.problems
            continue
        except BakeryError as error:
            problems.append(Problem(settings.lock.name, 1, error.message, error.hint))
            continue
        if before is None or before.identity != now.identity:
            lock = lock.put(where, project, family, now)
        if before and before.identity != now.identity:
            newer[f"{project}/{family}"] = Newer(before, now)
        lines.append(_line(f"{project}/{family}", before, now))
    return Relocked(lock, tuple(lines), lock != old, tuple(problems), newer)


def with_packages(backend: Backend, newer: Mapping[str, Newer]) -> Mapping[str, Newer]:
    """Return the bases with the packages that differ, as far as their publishers list them; uses the network."""
    mirrors = backend.settings.network.mirrors
    return {key: one._replace(packages=changes(one.before, one.after, mirrors)) for key, one in newer.items()}


def _line(key: str, before: LockedBase | None, now: LockedBase) -> str:
    if before is None:
        return f"{key}: {now.name} (new)"
    if before.identity == now.identity:
        return f"{key}: {before.name} (unchanged)"
    return f"{key}: {before.name} -> {now.name}"
