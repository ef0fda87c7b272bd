"""Loads all recipes of a tree: reads and hashes every file, checks what is not known yet, reports all problems."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache as once
from functools import partial
from pathlib import Path

from bakery.errors import Problem, Severity
from bakery.recipe import tree
from bakery.recipe.cache import PackageCache
from bakery.recipe.check import checked_package, spack_installer
from bakery.recipe.check.checked_package import Entry
from bakery.recipe.fork_map import fork_map
from bakery.recipe.model import Found, Packages, Recipe, Recipes, SourceFile

TEMPLATE = "packer.json"
PARTS = frozenset({"cloudbuild.yaml", "fluidrun.yaml", "recipe.yaml"})
HCL = (".pkr.hcl", ".pkr.json")  # Packer's other languages


def load(packages: Path, common: Path, cache: Path | None = None, spack_ref: str = "") -> Recipes:
    """All recipes; see :func:`find`."""
    with gc_paused():
        return find(packages, common, cache, spack_ref).recipes()


def find(packages: Path, common: Path, cache: Path | None = None, spack_ref: str = "") -> Packages:
    """All packages below ``packages``, read, hashed and checked: folders that hold a ``packer.json``.

    ``cache`` is a folder that remembers the checks by the digest of what was checked; it may be deleted at any time.
    ``spack_ref`` is the tag or commit of the Spack that bakes. Never raises for a bad recipe.
    """
    with gc_paused():
        return _Finder(packages, common, cache, spack_ref).find()


def memory(packages: Path, cache: Path | None, name: str) -> PackageCache:
    """What ``name`` remembers of that tree: a file of its own for each, valid as long as the code stays."""
    tree_key = digest_of(os.path.realpath(packages))[:12]
    return PackageCache.read(cache and cache / f"{name}-{tree_key}", _code())


@contextmanager
def gc_paused() -> Iterator[None]:
    """Without the cyclic collector: it would walk over the growing heap again and again and find nothing.

    What is there at the end is kept out of its way for good.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()


@dataclass(frozen=True)
class _Common:
    """``common/``: what a recipe's checks depend on (``seen``) is its paths and what the installer wants."""

    tree: tree.Tree
    digests: Mapping[str, str]
    digest: str
    seen: str
    installer: spack_installer.Installer
    files: Mapping[str, tuple[SourceFile, ...]]  # by the path where it is staged; filled as asked for

    def staged(self, path: str) -> tuple[SourceFile, ...]:
        if path not in self.files:
            assert isinstance(self.files, dict)
            self.files[path] = _source_files(self.tree, self.digests, path)
        return self.files[path]


@dataclass(frozen=True)
class _Seen:
    """A package as it was read. ``content`` is what its checks gave for ``key``; None while that is remembered."""

    name: str
    tree: tree.Tree
    key: str
    content: bytes | None


@dataclass(frozen=True)
class _Package:
    """All that was read of one package."""

    name: str
    shown: str
    digest: str
    tree: tree.Tree
    entry: Entry
    common: _Common
    problems: tuple[Problem, ...]

    def recipe(self) -> Recipe:
        found = self.entry.checked
        return Recipe(
            name=self.name,
            folder=Path(self.tree.folder),
            workspace_path=found.workspace_path,
            template=found.template,
            build=found.build,
            substitutions=found.substitutions,
            timeout=found.timeout,
            files=_source_files(self.tree, self.entry.digests, found.workspace_path),
            common=self.common.staged(found.common_path),
            variants=found.variants,
            suite=found.suite,
            owners=found.owners,
            problems=self.problems,
            family_at=self.at(found.family_at),
            base_at=self.at(found.base_at),
            shown=self.shown,
            description=found.description,
            digest=self.digest,
        )

    def at(self, place: tuple[str, int]) -> tuple[str, int]:
        return f"{self.shown}/{place[0]}", place[1]


class _Finder:
    def __init__(self, packages: Path, common: Path, cache: Path | None, spack_ref: str) -> None:
        self.packages = Path(os.path.abspath(packages))  # noqa: PTH100 - keeps links as they are shown
        self.common = Path(os.path.abspath(common))  # noqa: PTH100
        self.shown = shown(self.packages)
        self.roots = tuple(os.path.realpath(path) for path in (self.packages, self.common))
        self.spack_ref = spack_ref
        self.remembered = memory(self.packages, cache, "recipes")
        self.problems: list[Problem] = []
        self.broken: set[str] = set()

    def find(self) -> Packages:
        shared = self.read_common()
        seen = fork_map(partial(self.look, shared), self.names())
        found = [made for one in seen if (made := self.package(one, shared)) is not None]
        self.remembered.write()
        return Packages(tuple(found), tuple(sorted(self.problems)), frozenset(self.broken), self.shown)

    def read_common(self) -> _Common:
        found = tree.Tree(str(self.common))
        if self.common.is_dir():
            found = tree.read(str(self.common), self.roots)
        else:
            hint = "set common to the folder of shared files"
            self.problems.append(Problem(shown(self.common), 1, "is no folder", hint, Severity.WARNING))
        self.problems += _under(shown(self.common), found.problems)
        read = spack_installer.read(found.contents.get(spack_installer.INSTALLER, b""))
        seen = digest_of(*read.needs, "", *read.settles, "", *sorted(found.files))
        return _Common(found, found.digests(), found.digest(), seen, read, {})

    def names(self) -> tuple[str, ...]:
        """The packages' names, sorted; folders without a template are none."""
        try:
            with os.scandir(self.packages) as entries:
                found = sorted(entry.name for entry in entries if entry.is_dir() and self.inside(entry))
        except OSError as error:
            hint = "set packages to the folder of the recipes"
            self.problems.append(Problem(shown(self.packages), 1, f"can't be read: {error.strerror}", hint))
            return ()
        skipped = {".git", self.common.name} if self.common.parent == self.packages else {".git"}
        kept = [name for name in found if name not in skipped]
        packages = [name for name in kept if os.path.lexists(f"{self.packages}/{name}/{TEMPLATE}")]
        for name in sorted(set(kept).difference(packages)):
            self.no_package(name)
        return tuple(packages)

    def no_package(self, name: str) -> None:
        """A folder without a template is nobody's business, unless it holds a file that only packages have."""
        with suppress(OSError), os.scandir(f"{self.packages}/{name}") as entries:
            odd = sorted(entry.name for entry in entries if entry.name in PARTS or entry.name.endswith(HCL))
            if odd:
                hint = f"write Packer's template as {TEMPLATE}, or move {odd[0]} away"
                message = f"is no package: it has {odd[0]} and no {TEMPLATE}"
                self.problems.append(Problem(shown(self.packages / name), 1, message, hint, Severity.WARNING))

    def inside(self, entry: os.DirEntry[str]) -> bool:
        """Whether a package's folder lies in the tree; a template behind a link out of it is a problem."""
        if not entry.is_symlink() or tree.inside(os.path.realpath(entry.path), self.roots):
            return True
        if os.path.lexists(f"{entry.path}/{TEMPLATE}"):
            hint = "copy the folder, or link inside of the tree"
            self.problems.append(Problem(shown(Path(entry.path)), 1, "is a link out of the tree", hint))
        return False

    def look(self, shared: _Common, name: str) -> _Seen:
        """Read and hash a package, and check it unless that is remembered. Changes nothing here: others look too."""
        read = tree.read(f"{self.packages}/{name}", self.roots)
        default = name if self.common.parent == self.packages else f"{self.packages.name}/{name}"
        key = digest_of(name, default, shared.seen, self.spack_ref, read.digest())
        content = None
        if self.remembered.get(key) is None:
            from bakery.recipe.check.package import Sources, check

            paths, common = read.files.keys(), shared.tree.files.keys()
            sources = Sources(name, read.contents, paths, common, default, self.spack_ref, shared.installer)
            content = checked_package.to_bytes(check(sources), read.digests())
        read.contents.clear()
        return _Seen(name, read, key, content)

    def package(self, seen: _Seen, shared: _Common) -> Found | None:
        """One package; None when there is nothing to plan with."""
        content = seen.content
        if content is None:
            content = self.remembered.get(seen.key)
            assert content is not None, "it was there when the package was looked at"
        else:
            self.remembered.put(seen.key, content)
        entry = checked_package.from_bytes(content)
        title = seen.name if self.shown == "." else f"{self.shown}/{seen.name}"
        problems = _under(title, (*seen.tree.problems, *entry.problems))
        self.problems += problems
        if not entry.usable:
            self.broken |= {seen.name, *entry.families}
            return None
        digest = digest_of(seen.key, shared.digest)
        package = _Package(seen.name, title, digest, seen.tree, entry, shared, tuple(problems))
        return Found(seen.name, digest, title, package.recipe)


def _source_files(found: tree.Tree, digests: Mapping[str, str], path: str) -> tuple[SourceFile, ...]:
    return tuple(
        SourceFile(f"{path}/{name}", mode, digests[name], Path(found.source(name)))
        for name, mode in sorted(found.files.items())
    )


def digest_of(*parts: str) -> str:
    """SHA-256 in hex of texts without NUL, as paths and digests are."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


@once
def _code() -> str:
    """A digest of the code that reads and plans recipes: what an older version remembered does not count."""
    folder = Path(__file__).parent
    parts = (folder.rglob("*.py"), folder.rglob("*.json"), (folder.parent / "plan").rglob("*.py"))
    sources = sorted(source for part in parts for source in part)
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def _under(shown: str, problems: tuple[Problem, ...] | list[Problem]) -> list[Problem]:
    return [replace(problem, file=f"{shown}/{problem.file}") for problem in problems]


def shown(path: Path) -> str:
    """The path as the user knows it: relative to where they stand when it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
