"""Git repositories that have a bakery project and its recipes in several places, each with two commits."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from tests.support.checkout import Checkout, make
from tests.support.plan_builders import BASE

# Submodules of these repositories are folders of this computer, which git refuses unless it is told.
os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
SCRIPT = "packages/app/install.sh"


@dataclass(frozen=True)
class Layout:
    """A repository ``top``, the project in it, and the top of what has the recipes; the last commit changed ``app``."""

    top: Path
    checkout: Checkout
    recipes: Path

    @property
    def root(self) -> Path:
        return self.checkout.root


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def at_the_root(folder: Path) -> Layout:
    return _committed(folder, _project(folder))


def in_a_subfolder(folder: Path) -> Layout:
    return _committed(folder, _project(folder / "infra" / "images"))


def beside(folder: Path) -> Layout:
    """The recipes are in a folder beside the project's."""
    checkout = _project(folder / "infra" / "images", "../recipes")
    return _committed(folder, checkout)


def submodule(folder: Path) -> Layout:
    """The recipes are in a submodule within the project's folder."""
    checkout = _project(folder / "infra" / "images", "recipes")
    recipes = checkout.root / "recipes"
    origin = folder.with_name("recipes")
    shutil.move(recipes, origin)
    _first(origin)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "submodule", "--quiet", "add", str(origin), recipes.relative_to(folder).as_posix())
    commit(folder, "first")
    _change(origin)
    git(recipes, "pull", "--quiet")
    commit(folder, "second")
    return Layout(folder, checkout, recipes)


def work_tree(folder: Path) -> Layout:
    """A work tree of a repository with the project in a subfolder: its .git is a file."""
    origin = in_a_subfolder(folder.with_name("origin"))
    git(origin.top, "worktree", "add", "--quiet", str(folder))
    return Layout(folder, Checkout(folder / "infra" / "images"), folder)


def another_repository(folder: Path) -> Layout:
    """The recipes are in a repository of their own, which is cloned beside that of the project."""
    checkout = _project(folder, "../recipes")
    _first(folder)
    recipes = folder.with_name("recipes")
    _first(recipes)
    _change(recipes)
    return Layout(folder, checkout, recipes)


def ignored(folder: Path) -> Layout:
    """The same, cloned into the project's folder, where .gitignore has it."""
    checkout = _project(folder, "recipes")
    (folder / ".gitignore").write_text("recipes/\n")
    _first(folder / "recipes")
    _first(folder)
    _change(folder / "recipes")
    return Layout(folder, checkout, folder / "recipes")


def _project(root: Path, recipes: str = "") -> Checkout:
    """A project whose recipes are in the folder ``recipes``, if it is named; the stacks are ``dev`` and ``gcp``."""
    root.mkdir(parents=True)
    made = make(root)
    lock_file.write(root / "bakery.lock", Lock({place: {"debian-cloud/debian-12": BASE} for place in Place}))
    values = {}
    if recipes:
        for name in ("packages", "common"):
            (root / recipes).mkdir(exist_ok=True)
            (root / name).rename(root / recipes / name)
            values[name] = f"{recipes}/{name}"
    made.settings(oven="fake", **values)
    google = {"project": "p", "region": "us-central1", "repository": "o/r"}
    made.settings("gcp", oven="cloud-build", google=google, **values)
    return made


def _committed(folder: Path, checkout: Checkout) -> Layout:
    _first(folder)
    _change(folder)
    return Layout(folder, checkout, folder)


def _first(folder: Path) -> None:
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "first")


def _change(folder: Path) -> None:
    (script,) = folder.rglob(SCRIPT)
    script.write_text("#!/bin/bash\necho changed\n")
    commit(folder, "second")


LAYOUTS = (at_the_root, in_a_subfolder, beside, submodule, work_tree, another_repository, ignored)
