"""Loads all recipes of a tree: reads and hashes every file, checks the packages that changed, reports all problems."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bakery.errors import Problem, Severity
from bakery.recipe.cache import digest_of, open_cache
from bakery.recipe.check.entry import Entry, from_bytes, problems_from_json, problems_to_json, to_bytes
from bakery.recipe.check.spack_installer import INSTALLER, parse_installer, relevant_lines
from bakery.recipe.fork_map import fork_map
from bakery.recipe.packages import Package, Packages
from bakery.recipe.tree import Tree, inside, read_tree

if TYPE_CHECKING:
    from bakery.recipe.model import Json, Recipe, Recipes, SourceFile

    # A package's key (the digest of all that its checks depend on), their result unless the cache has it, and its tree:
    # files, targets, problems.
    _Read = tuple[str, bytes, dict[str, int], dict[str, str], list[list[Json]]]

TEMPLATE = "packer.json"
HCL2 = (".pkr.hcl", ".pkr.json")  # how the names of files of an HCL2 template end
PARTS = frozenset({"cloudbuild.yaml", "fluidrun.yaml", "recipe.yaml"})


def load(packages: Path, common: Path, cache: Path | None = None, spack_ref: str = "") -> Recipes:
    """Return all recipes; see :func:`find_packages`."""
    with gc_paused():
        return find_packages(packages, common, cache, spack_ref).recipes()


def find_packages(
    packages: Path, common: Path, cache: Path | None = None, spack_ref: str = "", only: Collection[str] | None = None
) -> Packages:
    """Return all packages below ``packages``, read, hashed and checked: the folders with a template.

    ``cache`` is a folder for the results of the checks, by the digest of what was checked; it may be deleted at any
    time. ``spack_ref`` is the tag or commit of the Spack that bakes; with ``only`` other packages are left out. A wrong
    recipe is a problem, never an exception.
    """
    with gc_paused():
        return _Finder(packages, common, cache, spack_ref, only).find()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector, which would walk over the growing heap many times and free nothing.

    The objects that exist at the end are excluded from later collections.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.enable()


class _Common(NamedTuple):
    """``common/``. The checks of a package depend on ``seen``: paths, JSON, and the installer's relevant lines."""

    tree: Tree
    digest: str
    seen: str
    installer: tuple[str, ...]
    staged_files: dict[str, tuple[SourceFile, ...]]  # by the path where it is staged; filled on demand

    def staged(self, path: str) -> tuple[SourceFile, ...]:
        if path not in self.staged_files:
            self.staged_files[path] = _source_files(self.tree, self.tree.digests(), path)
        return self.staged_files[path]


class _Reader(NamedTuple):
    """Builds a package's recipe on demand."""

    name: str
    tree: Tree  # without contents
    shown: str
    digest: str
    entry: Entry
    common: _Common
    problems: tuple[Problem, ...]

    def recipe(self) -> Recipe:
        from bakery.recipe.model import Recipe  # not needed for a plan without changes

        checked = self.entry.checked
        (family_file, family_line), (base_file, base_line) = checked.family_at, checked.base_at
        return Recipe(
            **vars(checked)
            | {
                "name": self.name,
                "folder": Path(self.tree.folder),
                "files": _source_files(self.tree, self.entry.digests, checked.workspace_path),
                "common": self.common.staged(checked.common_path),
                "family_at": (f"{self.shown}/{family_file}", family_line),
                "base_at": (f"{self.shown}/{base_file}", base_line),
                "problems": self.problems,
                "shown": self.shown,
                "digest": self.digest,
            }
        )


class _Finder:
    def __init__(
        self, packages: Path, common: Path, cache: Path | None, spack_ref: str, only: Collection[str] | None
    ) -> None:
        self.only = only
        self.packages = Path(os.path.abspath(packages))  # noqa: PTH100 - keeps links as they are shown
        self.common_folder = Path(os.path.abspath(common))  # noqa: PTH100
        self.shown = shown(self.packages)
        self.roots = tuple(os.path.realpath(path) for path in (self.packages, self.common_folder))
        self.spack_ref = spack_ref
        self.cache = open_cache(cache, "recipes", self.packages)
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        self.common = self.read_common()

    def find(self) -> Packages:
        names = self.names()
        found = fork_map(self.read, names)
        entries = from_bytes([self.content(key, fresh) for key, fresh, *_ in found])
        packages = list(map(self.package, names, found, entries))
        self.cache.write()
        usable = tuple(package for package in packages if package is not None)
        return Packages(usable, tuple(sorted(self.problems)), frozenset(self.broken), self.shown)

    def read_common(self) -> _Common:
        tree = Tree(str(self.common_folder))
        if self.common_folder.is_dir():
            tree = read_tree(str(self.common_folder), self.roots)
        else:
            hint = "set common to the folder of shared files"
            self.problems.append(Problem(shown(self.common_folder), 1, "not a folder", hint, Severity.WARNING))
        self.problems += _under(shown(self.common_folder), tree.problems)
        installer = relevant_lines(tree.contents.get(INSTALLER, b""))
        values = [hashlib.sha256(content).hexdigest() for _, content in sorted(_json(tree).items())]
        seen = digest_of(digest_of("\n".join(installer)), digest_of(*values), *sorted(tree.files))
        return _Common(tree, tree.digest(), seen, installer, {})

    def names(self) -> tuple[str, ...]:
        """Return the names of the packages, sorted. Folders without a template are not packages."""
        try:
            with os.scandir(self.packages) as entries:
                folders = [entry for entry in entries if self.only is None or entry.name in self.only]
                names = sorted(entry.name for entry in folders if entry.is_dir() and self.is_inside(entry))
        except OSError as error:
            hint = "set packages to the folder of the recipes"
            self.problems.append(Problem(shown(self.packages), 1, f"cannot be read: {error.strerror}", hint))
            return ()
        skipped = {".git", self.common_folder.name} if self.common_folder.parent == self.packages else {".git"}
        candidates = [name for name in names if name not in skipped]
        packages = [name for name in candidates if has_template(f"{self.packages}/{name}")]
        for name in sorted(set(candidates).difference(packages)):
            self.warn_without_template(name)
        return tuple(packages)

    def warn_without_template(self, name: str) -> None:
        """Warn about a folder without a template if it holds a file that only packages have."""
        with suppress(OSError), os.scandir(f"{self.packages}/{name}") as entries:
            odd = sorted(entry.name for entry in entries if entry.name in PARTS)
            if odd:
                hint = f"write Packer's template as {TEMPLATE} or *{HCL2[0]}, or move {odd[0]} elsewhere"
                message = f"not a package: it has {odd[0]} but no {TEMPLATE} and no *{HCL2[0]}"
                self.problems.append(Problem(shown(self.packages / name), 1, message, hint, Severity.WARNING))

    def is_inside(self, entry: os.DirEntry[str]) -> bool:
        """Return whether a package's folder is inside the tree; a template behind a link out of it is a problem."""
        if not entry.is_symlink() or inside(os.path.realpath(entry.path), self.roots):
            return True
        if has_template(entry.path):
            hint = "copy the folder, or link inside the tree"
            self.problems.append(Problem(shown(Path(entry.path)), 1, "links out of the tree", hint))
        return False

    def read(self, name: str) -> _Read:
        """Read and hash a package's folder, and check it if the cache does not have the result.

        It returns plain values, since it runs in another process when there are many packages.
        """
        tree = read_tree(f"{self.packages}/{name}", self.roots)
        key = digest_of(name, self.workspace_path(name), self.common.seen, self.spack_ref, tree.digest())
        fresh = b"" if self.cache.get(key) else self.check(name, tree)
        return key, fresh, tree.files, tree.targets, problems_to_json(tree.problems)

    def workspace_path(self, name: str) -> str:
        """Return the path in the workspace where a package is staged unless its template names another one."""
        return name if self.common_folder.parent == self.packages else f"{self.packages.name}/{name}"

    def other_paths(self, folder: str) -> tuple[str, ...]:
        """Return the ends of the path of a package's folder: a checkout may begin at any folder above it."""
        parts = folder.split("/")[1:]
        return tuple("/".join(parts[at:]) for at in range(len(parts) - 1, max(len(parts) - 7, -1), -1))

    def check(self, name: str, tree: Tree) -> bytes:
        """Return the result of a package's checks for the cache."""
        from bakery.recipe.check.package import PackageCheck  # not needed for a plan without changes

        check = PackageCheck(
            name=name,
            contents=tree.contents,
            paths=tree.files.keys(),
            common=self.common.tree.files.keys(),
            default_path=self.workspace_path(name),
            spack_ref=self.spack_ref,
            installer=parse_installer(self.common.installer),
            common_contents=_json(self.common.tree),
            other_paths=self.other_paths(tree.folder),
        )
        return to_bytes(check.run(), tree.digests())

    def content(self, key: str, fresh: bytes) -> bytes:
        """Return what is stored of a package, which :meth:`read` has found there, or its new result."""
        if fresh:
            self.cache.put(key, fresh)
        content = fresh or self.cache.get(key, verify=False)
        assert content, "what the cache does not have was checked"
        return content

    def package(self, name: str, read: _Read, entry: Entry) -> Package | None:
        """Return a package, or None when its errors leave nothing to plan with."""
        key, _, files, targets, found = read
        title = name if self.shown == "." else f"{self.shown}/{name}"
        problems = _under(title, (*problems_from_json(found), *entry.problems))
        self.problems += problems
        if not entry.usable:
            self.broken |= {name, *entry.families}
            return None
        digest = digest_of(key, self.common.digest)
        tree = Tree(f"{self.packages}/{name}", files, targets)
        reader = _Reader(name, tree, title, digest, entry, self.common, tuple(problems))
        return Package(name, digest, title, reader.recipe)


def _json(tree: Tree) -> dict[str, bytes]:
    """Return the contents of a tree's JSON files, which may hold variables for Packer."""
    return {path: content for path, content in tree.contents.items() if path.endswith(".json")}


def has_template(folder: str) -> bool:
    """Return whether a folder has a Packer template, as JSON or HCL2."""
    if os.path.lexists(f"{folder}/{TEMPLATE}"):
        return True
    with suppress(OSError), os.scandir(folder) as entries:
        return any(entry.name.endswith(HCL2) for entry in entries)
    return False


def _source_files(tree: Tree, digests: Mapping[str, str], path: str) -> tuple[SourceFile, ...]:
    from bakery.recipe.model import SourceFile

    return tuple(
        SourceFile(f"{path}/{name}", mode, digests[name], Path(tree.source(name)))
        for name, mode in sorted(tree.files.items())
    )


def _under(folder: str, problems: Iterable[Problem]) -> list[Problem]:
    return [replace(problem, file=f"{folder}/{problem.file}") for problem in problems]


def shown(path: Path) -> str:
    """Return the path for messages: relative to the current folder if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
