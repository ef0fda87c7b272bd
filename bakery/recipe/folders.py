"""Finds the folders of packages in a tree: those with a Packer template, at any depth."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bakery.errors import Problem, Severity
from bakery.recipe.tree import KEPT, inside

TEMPLATE = "packer.json"
HCL2 = (".pkr.hcl", ".pkr.json")  # how the names of files of an HCL2 template end
PARTS = frozenset({"cloudbuild.yaml", "fluidrun.yaml", "recipe.yaml"})


class Folders(NamedTuple):
    """The search below ``packages``. Problems are added to ``problems``.

    ``common`` is left out, and so are links out of ``roots`` and, with ``only``, the other folders at the top.
    """

    packages: Path
    common: Path
    roots: tuple[str, ...]
    only: Collection[str] | None
    problems: list[Problem]

    def find(self) -> list[str]:
        """Return the packages' folders as paths below that of all packages, sorted by name."""
        try:
            paths = sorted(self._search(""), key=lambda path: (path.count("/"), path))
        except OSError as error:
            self._report("", f"cannot be read: {error.strerror}", "set packages to the folder of the recipes")
            return []
        if not paths and self.only is None:
            self._look_for_other_names()
        first: dict[str, str] = {}
        for path in paths:
            if (other := first.setdefault(path.rpartition("/")[2], path)) != path:
                self._leave_out(path, other)
        return [path for _, path in sorted(first.items())]

    def _search(self, below: str) -> Iterator[str]:
        """Yield the folders with a template. Folders in a package and hidden folders are not searched."""
        with os.scandir(f"{self.packages}/{below}") as entries:
            found = [(entry, has_template(entry.path)) for entry in entries if self._may_be_package(entry, below)]
        packages = [f"{below}{entry.name}" for entry, is_package in found if is_package]
        yield from packages
        for entry in (entry for entry, is_package in found if not is_package):
            if packages or not below:
                self._warn_without_template(f"{below}{entry.name}")
            if not entry.is_symlink() and not entry.name.startswith("."):
                with suppress(OSError):
                    yield from self._search(f"{below}{entry.name}/")

    def _may_be_package(self, entry: os.DirEntry[str], below: str) -> bool:
        """Whether an entry of a folder may be a package, or a folder of packages."""
        if not entry.is_dir() or entry.name == ".git" or entry.path == str(self.common):
            return False
        return (below != "" or self.only is None or entry.name in self.only) and self._is_inside(entry)

    def _is_inside(self, entry: os.DirEntry[str]) -> bool:
        """Whether a package's folder is inside the tree; a template behind a link out of it is a problem."""
        if not entry.is_symlink() or inside(os.path.realpath(entry.path), self.roots):
            return True
        if has_template(entry.path):
            path = str(Path(entry.path).relative_to(self.packages))
            self._report(path, "links out of the tree", "copy the folder, or link inside the tree")
        return False

    def _leave_out(self, path: str, other: str) -> None:
        """Report a package with the name of another one. A package at the top keeps the name that it always had."""
        severity = Severity.ERROR if "/" in other else Severity.WARNING
        hint = "rename one of the folders: the name is part of paths and labels"
        message = f"is left out: {shown(self.packages / other)} is a package of the same name"
        self._report(path, message, hint, severity)

    def _warn_without_template(self, path: str) -> None:
        """Warn about a folder without a template if it holds a file that only packages have."""
        with suppress(OSError), os.scandir(f"{self.packages}/{path}") as entries:
            odd = sorted(entry.name for entry in entries if entry.name in PARTS)
            if odd:
                hint = f"write Packer's template as {TEMPLATE} or *{HCL2[0]}, or move {odd[0]} elsewhere"
                message = f"not a package: it has {odd[0]} but no {TEMPLATE} and no *{HCL2[0]}"
                self._report(path, message, hint, Severity.WARNING)

    def _look_for_other_names(self) -> None:
        """Warn about JSON templates that are not read because of their names, where there is no package at all."""
        for folder, below, names in os.walk(self.packages):
            below[:] = [name for name in below if not name.startswith(".")]
            for file in (Path(folder, name) for name in names if name.endswith(".json")):
                with suppress(OSError, ValueError):
                    value = json.loads(file.read_bytes()) if file.stat().st_size < KEPT else None
                    if isinstance(value, dict) and isinstance(value.get("builders"), list):
                        hint = f"rename it to {TEMPLATE}: this is the name of a package's template"
                        path = str(file.relative_to(self.packages))
                        self._report(path, "a template of Packer, which is not read", hint, Severity.WARNING)

    def _report(self, path: str, message: str, hint: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(Problem(shown(self.packages / path), 1, message, hint, severity))


def has_template(folder: str) -> bool:
    """Return whether a folder has a Packer template, as JSON or HCL2."""
    if os.path.lexists(f"{folder}/{TEMPLATE}"):
        return True
    with suppress(OSError), os.scandir(folder) as entries:
        return any(entry.name.endswith(HCL2) for entry in entries)
    return False


def shown(path: Path) -> str:
    """Return the path for messages: relative to the current folder if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
