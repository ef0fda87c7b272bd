"""The settings and recipes of a stack in an earlier revision of the repository that the recipes are in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bakery.errors import InputError, Problem
from bakery.host.engine import stack_settings
from bakery.host.revision import extract, path_in, repository
from bakery.settings import Settings


def settings_since(settings: Settings, since: str, folder: Path) -> Settings:
    """Return the stack's settings at a git revision, with packages, common and lock in the empty ``folder``.

    The revision is one of the repository that the recipes are in. If the project is in it, too, or in the repository
    that has them as a submodule, its settings are those of the revision; otherwise they are today's. What is
    in other repositories is as it is now. Raises InputError if the revision can't be read.
    """
    top = repository(settings.root) or settings.root
    together = bool(path_in(top, settings.packages))
    top = top if together else repository(settings.packages) or settings.root
    past = _Past(top, since, folder.resolve() / (top.name or "tree"))
    old = past.settings(settings) if together else settings
    old = replace(old, packages=past.of(old.packages), common=past.of(old.common), lock=past.of(old.lock))
    if not old.packages.is_relative_to(past.tree):
        hint = "keep packages in a git repository, or omit --since"
        raise InputError([Problem("--since", 1, f"the packages of {since!r} are outside of the checkout", hint)])
    past.of(old.packages.parent / old.lock.name)
    return old


class _Past(NamedTuple):
    """A revision of a repository, of which ``tree`` has the parts that were asked for."""

    top: Path
    since: str
    tree: Path

    def of(self, path: Path) -> Path:
        """Return where a path of the repository is in the revision, and read it; another path is the one of today."""
        now = self.top / path.relative_to(self.tree) if path.is_relative_to(self.tree) else path
        if not path_in(self.top, now):
            return now
        there = self.tree / now.relative_to(self.top)
        if not there.exists():
            extract(self.top, self.since, now, self.tree)
        return there

    def settings(self, now: Settings) -> Settings:
        """Return the settings that the stack had, or today's if it is new."""
        root = self.of(now.root)
        file = self.of(now.source or now.root / now.file)
        if not file.exists():
            return now
        return replace(stack_settings(root, now.stack, str(file)), select=now.select)
