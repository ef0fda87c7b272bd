"""The workspace that the template of a package sees: where its folder and ``common/`` are staged, and their files."""

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bakery.recipe.check import packer_template
from bakery.recipe.parse import Document, quoted
from bakery.recipe.templating import declared
from bakery.recipe.tree import Tree

_NAMES_BUILDER = b"PACKER_BUILD"  # in the environment of scripts: PACKER_BUILD_NAME, PACKER_BUILDER_TYPE


@dataclass
class Workspace:
    """The workspace of a package: ``paths`` are its files, ``common`` those of ``common/``, below their folders.

    ``folder`` is that of the package, relative to the folder of all packages, and ``elsewhere`` returns what is at
    another such path. ``values`` are the contents of the files of common that may hold values of variables, or name
    the builder. A template without variables for paths may name the two folders by any of ``package_paths`` and
    ``common_paths``; the first one is the usual. ``others`` are the paths outside of both that were looked for, by
    their path in the workspace.
    """

    folder: str
    paths: Collection[str]
    common: Collection[str]
    package_paths: tuple[str, ...]
    common_paths: tuple[str, ...]
    elsewhere: Callable[[str], Tree]
    values: Mapping[str, bytes] = field(default_factory=dict)
    package_path: str = ""
    common_path: str = ""
    others: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.package_path = self.package_paths[0]
        self.common_path = self.common_paths[0]

    def set_paths(self, template: Document, variables: Mapping[str, str]) -> None:
        """Take the paths from the variables pkg_path and common_path, or from the files that the template names."""
        written = str(declared(template.value).get("pkg_path") or "")
        self.common_path = _staged(template, variables, "common_path", self.common_paths[0]) or (
            packer_template.seen_at(template, variables, self.common_paths, self.common)
        )
        self.package_path = _staged(template, variables, "pkg_path", self.package_path) or (
            packer_template.seen_at(template, variables, (self.package_path, *self.package_paths[1:]), self.paths)
        )
        for path in dict.fromkeys((written, self.package_path)):
            if path and "{{" not in path and posixpath.basename(path) != posixpath.basename(self.folder):
                self._misnamed(template, path)
        if self.common_path == self.package_path:
            hint = "give each its own path"
            template.error("pkg_path and common_path are the same", hint, "variables", "pkg_path")

    def _misnamed(self, template: Document, path: str) -> None:
        hint = f"write {self.package_paths[0]}"
        if path != self.package_path:
            hint += f"; cloudbuild.yaml sets {self.package_path}, which the bake uses"
        template.warn(f"pkg_path {quoted(path)} names another package", hint, "variables", "pkg_path")

    def exists(self, path: str) -> bool:
        """Whether a path is a file, or a folder that holds one."""
        inside = False
        for prefix, files in ((self.package_path, self.paths), (self.common_path, self.common)):
            below = path[len(prefix) + 1 :] if path.startswith(prefix + "/") else None
            if path == prefix or prefix.startswith(path + "/"):
                return bool(files)
            if below is not None and (below in files or any(file.startswith(below + "/") for file in files)):
                return True
            inside |= below is not None
        return not inside and self._exists_elsewhere(path)

    def _exists_elsewhere(self, path: str) -> bool:
        """Whether a path outside of the package and of common exists.

        What is below the folder of all packages can be used by every package, as in a checkout.
        """
        staged = (self.package_path, self.package_paths[0])
        above = [path.removesuffix(self.folder) for path in staged if f"/{path}".endswith(f"/{self.folder}")]
        if not above or not path.startswith(above[0]) or path.partition("/")[0] in (".", ".."):
            return False
        self.others[path] = path.removeprefix(above[0])
        return bool(self.elsewhere(self.others[path]).files)

    def content(self, path: str) -> bytes | None:
        """Return a small file outside of the package that holds values; None if there is none."""
        if path.startswith(f"{self.common_path}/"):
            return self.values.get(path[len(self.common_path) + 1 :])
        if not self.exists(path) or path not in self.others:
            return None
        return self.elsewhere(self.others[path]).contents.get(self.others[path])

    def listed(self, folder: str) -> list[str]:
        """Return the files below a folder of another package, which is then one of ``others``; [] if there is none."""
        if not self.exists(folder) or folder not in self.others:
            return []
        path = self.others[folder]
        above = folder.removesuffix(path)
        return [f"{above}{name}" for name in self.elsewhere(path).files if name.startswith(f"{path}/")]

    def names_builder(self, contents: Mapping[str, bytes]) -> bool:
        """Whether a small file that may be staged names the builder; ``contents`` are those of the package."""
        others = (self.elsewhere(path).contents for path in self.others.values())
        found = (content for files in (contents, self.values, *others) for content in files.values())
        return any(_NAMES_BUILDER in content for content in found)

    def _is_other(self, path: str) -> bool:
        """Whether a path is one of another package, which is then among ``others``."""
        before = set(self.others)
        found = self.exists(path) and path in self.others
        for name in self.others.keys() - before if not found else ():
            del self.others[name]
        return found

    def take_folders(self, paths: Iterable[str]) -> None:
        """Take the whole folder, at the top, of each of these paths that are elsewhere: a tool may read more of it.

        Words that are not paths are ignored.
        """
        there = {path for path in paths if "/" in path and (path in self.others or self._is_other(path))}
        for path in sorted(self.others.keys() & there):
            top, below, _ = self.others[path].partition("/")
            if below:
                self.others[path.removesuffix(self.others[path]) + top] = top


def _staged(template: Document, variables: Mapping[str, str], name: str, usual: str) -> str:
    """Return the path that a variable says; "" if it says none. A path that is out of the workspace is an error."""
    path = variables.get(name)
    if not path:
        return ""
    clean = posixpath.normpath(path)
    if "{{" in path or "$" in path or path.startswith(("/", "~")) or clean.split("/", maxsplit=1)[0] in (".", ".."):
        template.error(f"{name} is {quoted(path)}", f"write a path below the workspace, as {usual}", "variables", name)
        return usual
    return clean
