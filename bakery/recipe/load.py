"""Loads all recipes of a tree: reads and hashes every file, checks what is not known yet, reports all problems."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache as once
from pathlib import Path

from bakery.errors import Problem, Severity
from bakery.plan.render import FAMILY
from bakery.recipe import tree
from bakery.recipe.checked import Checked
from bakery.recipe.model import Recipe, Recipes, SourceFile
from bakery.recipe.remembered import Remembered

TEMPLATE = "packer.json"


def load(
    packages: Path, common: Path, select: tuple[str, ...] = (), cache: Path | None = None, spack_ref: str = ""
) -> Recipes:
    """All packages below ``packages``: folders that hold a ``packer.json``.

    ``select`` leaves nothing out: any package can be a parent, the plan picks. ``cache`` is a folder that remembers
    checked recipes by the digest of their contents; it may be deleted at any time. ``spack_ref`` is the tag
    or commit of the Spack that bakes. Never raises for a bad recipe.
    """
    with _no_collection():
        return _Loader(packages, common, cache, spack_ref).load()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic collector: it would walk over the growing heap again and again and find nothing.

    What is there at the end is kept out of its way for good.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


@dataclass(frozen=True)
class _Common:
    tree: tree.Tree
    digest: str
    files: Mapping[str, tuple[SourceFile, ...]]  # by the path where it is staged; filled as asked for

    def staged(self, path: str) -> tuple[SourceFile, ...]:
        if path not in self.files:
            assert isinstance(self.files, dict)
            self.files[path] = _source_files(self.tree, path)
        return self.files[path]


class _Loader:
    def __init__(self, packages: Path, common: Path, cache: Path | None, spack_ref: str) -> None:
        self.packages = Path(os.path.abspath(packages))  # noqa: PTH100 - keeps links as they are shown
        self.common = Path(os.path.abspath(common))  # noqa: PTH100
        self.roots = tuple(os.path.realpath(path) for path in (self.packages, self.common))
        self.spack_ref = spack_ref
        self.remembered = Remembered.read(cache and cache / f"recipes-{_key(self.roots[0])[:12]}", _code())
        self.problems: list[Problem] = []
        self.broken: set[str] = set()

    def load(self) -> Recipes:
        shared = self.read_common()
        names = self.names()
        recipes = [made for name in names if (made := self.recipe(name, shared)) is not None]
        self.remembered.write()
        return Recipes(tuple(recipes), tuple(sorted(self.problems)), frozenset(self.broken))

    def read_common(self) -> _Common:
        found = tree.Tree(str(self.common))
        if self.common.is_dir():
            found = tree.read(self.common, self.roots)
        else:
            hint = "set common to the folder of shared files"
            self.problems.append(Problem(_shown(self.common), 1, "is no folder", hint, Severity.WARNING))
        self.problems += _under(_shown(self.common), found.problems)
        return _Common(found, found.digest(), {})

    def names(self) -> tuple[str, ...]:
        """The packages' names, sorted; folders without a template are none."""
        try:
            with os.scandir(self.packages) as entries:
                found = sorted(entry.name for entry in entries if entry.is_dir() and self.inside(entry))
        except OSError as error:
            hint = "set packages to the folder of the recipes"
            self.problems.append(Problem(_shown(self.packages), 1, f"can't be read: {error.strerror}", hint))
            return ()
        skipped = {".git", self.common.name} if self.common.parent == self.packages else {".git"}
        return tuple(n for n in found if n not in skipped and os.path.lexists(f"{self.packages}/{n}/{TEMPLATE}"))

    def inside(self, entry: os.DirEntry[str]) -> bool:
        """Whether a package's folder lies in the tree; a template behind a link out of it is a problem."""
        if not entry.is_symlink() or tree.inside(os.path.realpath(entry.path), self.roots):
            return True
        if os.path.lexists(f"{entry.path}/{TEMPLATE}"):
            hint = "copy the folder, or link inside of the tree"
            self.problems.append(Problem(_shown(Path(entry.path)), 1, "is a link out of the tree", hint))
        return False

    def recipe(self, name: str, shared: _Common) -> Recipe | None:
        """One package; None when there is nothing to plan with."""
        folder = self.packages / name
        found = tree.read(folder, self.roots)
        default = name if self.common.parent == self.packages else f"{self.packages.name}/{name}"
        key = _key(name, default, shared.digest, self.spack_ref, found.digest())
        entry = self.remembered.get(key)
        if entry is None:
            entry = self.remembered.add(key, _check(name, default, found, shared, self.spack_ref))
        shown = _shown(folder)
        problems = _under(shown, (*found.problems, *entry.problems))
        self.problems += problems
        if not entry.usable:
            given = (entry.substitutions, *(variant.substitutions for variant in entry.variants))
            self.broken |= {name, *(values[FAMILY] for values in given if FAMILY in values)}
            return None
        positions = {key: (f"{shown}/{file}", line) for key, (file, line) in entry.positions.items()}
        return Recipe(
            name=name,
            folder=folder,
            workspace_path=entry.workspace_path,
            template=entry.template,
            build=entry.build,
            substitutions=entry.substitutions,
            timeout=entry.timeout,
            files=_source_files(found, entry.workspace_path),
            common=shared.staged(entry.common_path),
            variants=entry.variants,
            suite=entry.suite,
            owners=entry.owners,
            problems=tuple(problems),
            positions=positions,
            description=entry.description,
            digest=key,
        )


def _check(name: str, default: str, found: tree.Tree, shared: _Common, spack_ref: str) -> Checked:
    from bakery.recipe.package import Sources, check  # parsers and checks cost time that a warm start saves

    installer = shared.tree.contents.get("spack-install.sh", b"")
    common = shared.tree.files.keys()
    return check(Sources(name, found.contents, found.files.keys(), common, default, spack_ref, installer))


def _source_files(found: tree.Tree, path: str) -> tuple[SourceFile, ...]:
    return tuple(
        SourceFile(f"{path}/{name}", mode, sha256, Path(source))
        for name, (mode, sha256, source) in sorted(found.files.items())
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


@once
def _code() -> str:
    """A digest of the code that reads recipes: what an older version remembered does not count."""
    folder = Path(__file__).parent
    sources = sorted((*folder.glob("*.py"), *folder.glob("schemas/*.json"), folder.parent / "plan" / "render.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources if source.exists())).hexdigest()


def _under(shown: str, problems: tuple[Problem, ...] | list[Problem]) -> list[Problem]:
    return [replace(problem, file=f"{shown}/{problem.file}") for problem in problems]


def _shown(path: Path) -> str:
    """The path as the user knows it: relative to where they stand when it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
