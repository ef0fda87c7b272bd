"""Loads all recipes of a tree: reads and hashes every file, checks the packages that changed, reports all problems."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bakery.errors import Problem, Severity
from bakery.recipe.cache import digest_of, open_cache
from bakery.recipe.check.entry import Entry, from_bytes, problems_from_json, problems_to_json, to_bytes
from bakery.recipe.check.spack_installer import INSTALLER, parse_installer, relevant_lines
from bakery.recipe.folders import Folders, shown
from bakery.recipe.fork_map import fork_map
from bakery.recipe.packages import Package, Packages
from bakery.recipe.tree import Tree, read_part, read_tree

if TYPE_CHECKING:
    from bakery.recipe.check.workspace import Workspace
    from bakery.recipe.model import CheckedPackage, Json, Recipe, Recipes, SourceFile

    Prepare = Callable[[Package], bytes]
    # A package's key (the digest of all that its checks depend on), unless the cache has their result this and what was
    # prepared, and its tree: files, targets, problems.
    _Read = tuple[str, bytes, bytes, dict[str, int], dict[str, str], list[list[Json]]]


def load(packages: Path, common: Path, cache: Path | None = None, spack_ref: str = "") -> Recipes:
    """Return all recipes; see :func:`find_packages`."""
    with gc_paused():
        return find_packages(packages, common, cache, spack_ref).recipes()


def find_packages(
    packages: Path,
    common: Path,
    cache: Path | None = None,
    spack_ref: str = "",
    *,
    only: Collection[str] | None = None,
    prepare: Prepare | None = None,
) -> Packages:
    """Return all packages below ``packages``, read, hashed and checked: the folders with a template.

    ``cache`` is a folder for the results of the checks, by the digest of what was checked; it may be deleted at any
    time. ``spack_ref`` is the tag or commit of the Spack that bakes; with ``only`` other packages are left out. A wrong
    recipe is a problem, never an exception. ``prepare`` is called with packages that the cache does not have, in any
    process, while their recipes need not be read from it; it may be called with some of them only.
    """
    with gc_paused():
        return _Finder(packages, common, cache, spack_ref, only=only, prepare=prepare).find()


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
    """``common/``. Checks of a package depend on ``seen``: paths, files of values, the installer's relevant lines."""

    tree: Tree
    digest: str
    seen: str
    installer: tuple[str, ...]
    staged_files: dict[str, tuple[SourceFile, ...]]  # by the path where it is staged; filled on demand

    def staged(self, path: str) -> tuple[SourceFile, ...]:
        if path not in self.staged_files:
            self.staged_files[path] = _source_files(self.tree, self.tree.digests(), f"{path}/")
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
    elsewhere: Callable[[str], Tree]

    def recipe(self) -> Recipe:
        from bakery.recipe.model import Recipe  # not needed for a plan without changes

        checked = self.entry.checked
        (family_file, family_line), (base_file, base_line) = checked.family_at, checked.base_at
        return Recipe(
            **vars(checked)
            | {
                "name": self.name,
                "folder": Path(self.tree.folder),
                "files": _source_files(self.tree, self.entry.digests, f"{checked.workspace_path}/"),
                "common": self.common.staged(checked.common_path),
                "other_files": tuple(file for item in checked.others.items() for file in self.staged_from(*item)),
                "family_at": (f"{self.shown}/{family_file}", family_line),
                "base_at": (f"{self.shown}/{base_file}", base_line),
                "licence_servers": {one: f"{self.shown}/{at}" for one, at in checked.licence_servers.items()},
                "problems": self.problems,
                "shown": self.shown,
                "digest": self.digest,
            }
        )

    def staged_from(self, staged: str, path: str) -> tuple[SourceFile, ...]:
        """Return the files at a path below the folder of all packages, whose path in the workspace is ``staged``."""
        tree = self.elsewhere(path)
        return _source_files(tree, tree.digests(), staged.removesuffix(path))


class _Finder:
    def __init__(
        self,
        packages: Path,
        common: Path,
        cache: Path | None,
        spack_ref: str,
        *,
        only: Collection[str] | None,
        prepare: Prepare | None,
    ) -> None:
        self.only = only
        self.prepare = prepare
        self.packages = Path(os.path.abspath(packages))  # noqa: PTH100 - keeps links as they are shown
        self.common_folder = Path(os.path.abspath(common))  # noqa: PTH100
        self.shown = shown(self.packages)
        self.roots = tuple(os.path.realpath(path) for path in (self.packages, self.common_folder))
        self.spack_ref = spack_ref
        self.cache = open_cache(cache, "recipes", self.packages)
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        self.parts: dict[str, Tree] = {}  # what packages name outside of their folders
        self.common = self.read_common()
        # The path in the workspace where a package is staged unless its template names another one, before its own.
        self.staged = "" if self.common_folder.parent == self.packages else f"{self.packages.name}/"
        self.common_paths = ("common", *_ends(self.common.tree.folder))

    def find(self) -> Packages:
        paths = Folders(self.packages, self.common_folder, self.roots, self.only, self.problems).find()
        found = fork_map(self.read, paths)
        entries = from_bytes([self.content(key, fresh) for key, fresh, *_ in found])
        packages = list(map(self.package, paths, found, entries))
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
        values = [hashlib.sha256(content).hexdigest() for _, content in sorted(_values(tree).items())]
        place = os.path.relpath(self.common_folder, self.packages)
        seen = digest_of(digest_of("\n".join(installer)), digest_of(*values), place, *sorted(tree.files))
        return _Common(tree, tree.digest(), seen, installer, {})

    def read(self, path: str) -> _Read:
        """Read and hash a package's folder, and check it if the cache does not have the result.

        It returns plain values, since it runs in another process when there are many packages.
        """
        tree = read_tree(f"{self.packages}/{path}", self.roots)
        key = digest_of(path, self.staged + path, self.common.seen, self.spack_ref, tree.digest())
        fresh, prepared = (b"", b"") if self.cache.get(key) else self.checked(path, key, tree)
        return key, fresh, prepared, tree.files, tree.targets, problems_to_json(tree.problems)

    def checked(self, path: str, key: str, tree: Tree) -> tuple[bytes, bytes]:
        """Return the result of a package's checks for the cache, and what is prepared with it."""
        checked, content = self.check(path, tree)
        if self.prepare is None or not checked.usable or "hcl2" in checked.template:  # from the cache it is plain JSON
            return content, b""
        entry = from_bytes([content])[0]
        entry.checked = checked
        return content, self.prepare(self.make(path, key, tree, entry, entry.problems))

    def elsewhere(self, path: str) -> Tree:
        """Return the file or the folder at a path below the folder of all packages, as a tree of that folder."""
        if path not in self.parts:
            self.parts[path] = read_part(str(self.packages), path, self.roots)
        return self.parts[path]

    def workspace(self, path: str, tree: Tree) -> Workspace:
        """Return what the template of a package sees."""
        from bakery.recipe.check.workspace import Workspace

        return Workspace(
            folder=path,
            paths=tree.files.keys(),
            common=self.common.tree.files.keys(),
            package_paths=(self.staged + path, *_ends(tree.folder)),
            common_paths=self.common_paths,
            elsewhere=self.elsewhere,
            values=_values(self.common.tree),
        )

    def check(self, path: str, tree: Tree) -> tuple[CheckedPackage, bytes]:
        """Return the result of a package's checks, and the same for the cache."""
        from bakery.recipe.check.package import PackageCheck  # not needed for a plan without changes

        check = PackageCheck(
            name=path.rpartition("/")[2],
            contents=tree.contents,
            workspace=self.workspace(path, tree),
            spack_ref=self.spack_ref,
            installer=parse_installer(self.common.installer),
        )
        checked = check.run()
        others = {path: self.elsewhere(path).digest() for path in checked.others.values()}
        return checked, to_bytes(checked, tree.digests(), others)

    def content(self, key: str, fresh: bytes) -> bytes:
        """Return what is stored of a package, which :meth:`read` has found there, or its new result."""
        if fresh:
            self.cache.put(key, fresh)
        content = fresh or self.cache.get(key, verify=False)
        assert content, "what the cache does not have was checked"
        return content

    def current(self, path: str, key: str, entry: Entry) -> Entry:
        """Return what is stored of a package, or a new result if files changed that it names outside of its folder."""
        if all(self.elsewhere(other).digest() == digest for other, digest in entry.others.items()):
            return entry
        _, content = self.check(path, read_tree(f"{self.packages}/{path}", self.roots))
        self.cache.put(key, content)
        return from_bytes([content])[0]

    def package(self, path: str, read: _Read, entry: Entry) -> Package | None:
        """Return a package, or None when its errors leave nothing to plan with."""
        key, _, prepared, files, targets, found = read
        current = self.current(path, key, entry)
        problems = _under(self.title(path), (*problems_from_json(found), *current.problems))
        for other in current.others:
            problems += _under(self.shown, self.elsewhere(other).problems)
        self.problems += problems
        if not current.usable:
            self.broken |= {path.rpartition("/")[2], *current.families}
            return None
        tree = Tree(f"{self.packages}/{path}", files, targets)
        made = self.make(path, key, tree, current, problems)
        made.prepared = prepared if current is entry else b""
        return made

    def make(self, path: str, key: str, tree: Tree, entry: Entry, problems: Iterable[Problem]) -> Package:
        """Return a package that can be planned."""
        name, title = path.rpartition("/")[2], self.title(path)
        digest = digest_of(key, self.common.digest, *entry.others.values())
        reader = _Reader(name, tree, title, digest, entry, self.common, tuple(problems), self.elsewhere)
        return Package(name, digest, title, reader.recipe)

    def title(self, path: str) -> str:
        """Return a package's folder as messages name it."""
        return path if self.shown == "." else f"{self.shown}/{path}"


def _values(tree: Tree) -> dict[str, bytes]:
    """Return the contents of files that may hold values of Packer's variables, or read those that Packer sets."""
    return {name: it for name, it in tree.contents.items() if name.endswith((".json", ".hcl")) or b"PACKER_BUILD" in it}


def _source_files(tree: Tree, digests: Mapping[str, str], above: str) -> tuple[SourceFile, ...]:
    from bakery.recipe.model import SourceFile

    return tuple(
        SourceFile(f"{above}{name}", mode, digests[name], tree.source(name))
        for name, mode in sorted(tree.files.items())
    )


def _ends(folder: str) -> tuple[str, ...]:
    """Return the ends of a folder's path, the shortest first: a checkout may begin at any folder above it."""
    parts = folder.split("/")[1:]
    return tuple("/".join(parts[at:]) for at in range(len(parts) - 1, max(len(parts) - 7, -1), -1))


def _under(folder: str, problems: Iterable[Problem]) -> list[Problem]:
    return [replace(problem, file=os.path.normpath(f"{folder}/{problem.file}")) for problem in problems]
