"""Packer's functions that read or list files of the workspace.

Sources: Packer, ``hcl2template/functions.go`` and ``function/filebase64.go``; go-cty-funcs, ``filesystem``. Paths begin
at ``path.root``, only those of ``filebase64`` where Packer runs.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from unicodedata import normalize

from bakery.recipe.call_place import CallPlace
from bakery.recipe.hcl2.values import Invalid, NotFollowed, Outside, Set, Value, described
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_template

FILE_SET = "fileset"
# Packer does not refuse these when a file is not there, so what they may look for has to be in the bake.
SEARCHES = ("fileexists", FILE_SET)
_SIGN = re.compile(r"[*?\[{\\]")  # begins what a pattern does not take literally
# The parts of a pattern: stars and question marks, sets of signs, alternatives, and what stands for itself.
_PART = re.compile(r"([*?])|\[(\^?(?:\w(?:-\w)?)+)\]|\{([^{}/\\]+)\}|([^*?\[\]{}\\])", re.ASCII)
_PATTERN = re.compile(f"(?:{_PART.pattern})*", re.ASCII)


@dataclass(frozen=True)
class PendingTemplate:
    """A template that is still to be evaluated with these values."""

    template: nodes.Expression
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Files:
    """The files that functions see. ``place`` is that of the call of Packer, or None if only the build knows it.

    ``read`` returns the file at a path of the workspace, or None if there is none, and raises IsADirectoryError;
    ``below`` the paths of all files below a folder, or None if they are not known. Both raise NotFollowed for what
    Packer has to read in the bake. ``shared`` is the folder of shared files. A file that ``templatefile``
    reads may not read another one with it.
    """

    place: CallPlace | None = None
    read: Callable[[str], bytes | None] = lambda _: None
    below: Callable[[str], Collection[str] | None] = lambda _: ()
    shared: str = ""
    in_template: bool = False

    def root(self) -> str:
        """Return ``path.root``. Raises NotFollowed."""
        if self.place is None:
            raise NotFollowed
        return self.place.root

    def path(self, name: str, text: str, line: int) -> str:
        """Return the path in the workspace of the path that a function is given. Raises NotFollowed and Outside."""
        if self.place is None and not text.startswith(("/", "~")):
            raise NotFollowed
        path = (self.place or CallPlace("", ".")).path(text, rooted=name != "filebase64")
        if path.startswith(("/", "~")):
            hint = "put the file into the package: files outside it are not in the digest"
            raise Outside(line, f"{name} reads {described(text)}, which is outside the package and common", hint)
        return path

    def missing(self, name: str, text: str, path: str, line: int) -> Invalid:
        """Return the error for a path without a file, with what is meant if the file is where people look for it."""
        message = f"{described(text)} does not exist"
        if self.place is not None and name != "filebase64":
            root = self.place.path("")
            for other in (self.place.path(text, rooted=False), posixpath.normpath(text)):
                if other != path and not other.startswith(("/", "..")) and self._is_file(other):
                    hint = (
                        f"write {described(posixpath.relpath(other, root))}: the path begins at the template's folder"
                    )
                    return Invalid(line, message, hint)
        return Invalid(line, message, "add the file, or fix the path")

    def _is_file(self, path: str) -> bool:
        try:
            return self.read(path) is not None
        except (NotFollowed, IsADirectoryError):
            return True

    def call(self, name: str, text: str, rest: Callable[[], list[Value]], line: int) -> Value:
        """Return the result of a function for a path; ``rest`` returns its other arguments. Raises as :meth:`path`."""
        path = self.path(name, text, line)
        if name == FILE_SET:
            return self._set(path, rest(), line)
        try:
            content = self.read(path)
        except IsADirectoryError:
            raise Invalid(line, f"{described(text)} is a folder", "name a file") from None
        if name == "fileexists":
            return content is not None
        if content is None:
            raise self.missing(name, text, path, line)
        if name == "filebase64":
            return base64.b64encode(content).decode()
        try:
            decoded = content.decode()
        except UnicodeDecodeError:
            raise Invalid(line, f"{described(text)} is not UTF-8", "use filebase64") from None
        if name == "file":
            return normalize("NFC", decoded)
        if self.in_template:
            raise Invalid(line, "templatefile in a file that templatefile reads", "read it outside, and pass its text")
        return _template(text, decoded, rest(), line)

    def _set(self, folder: str, rest: list[Value], line: int) -> Set:
        if len(rest) != 1 or not isinstance(rest[0], str):
            raise Invalid(line, "fileset needs a folder and a pattern", 'write fileset("folder", "*.sh")')
        pattern = posixpath.normpath(posixpath.join(folder, rest[0].lstrip("/")))
        fixed = pattern[: found.start()] if (found := _SIGN.search(pattern)) else pattern
        above = posixpath.dirname(fixed)
        listed = self.below(above or ".")
        if listed is None:
            hint = "name a folder of the package, or of common: other files are not in the digest"
            raise Outside(line, f"fileset lists {described(pattern)}, which is more than the package", hint)
        if not _PATTERN.fullmatch(pattern) or not all(map(str.isascii, listed)):
            raise NotFollowed(above)
        paths = [path for path in listed if _matches(path, pattern)]
        return Set(sorted(posixpath.relpath(path, folder) for path in paths))


FILE_FUNCTIONS = frozenset({"file", "filebase64", "fileexists", FILE_SET, "templatefile"})


def _template(path: str, content: str, rest: list[Value], line: int) -> PendingTemplate:
    values = rest[0] if len(rest) == 1 else None
    if not isinstance(values, dict):
        raise Invalid(line, "templatefile needs a path and an object", "write templatefile(path, {name = value})")
    template = parse_template(content, line)
    if template is None:
        raise Invalid(line, f"{described(path)} is not a template", "fix its ${}; write $${ for ${")
    return PendingTemplate(template, values)


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern of doublestar: ``**`` as a whole part stands for any folders, or for none."""
    *folders, last = pattern.split("/")
    text = "".join("(?:[^/]+/)*" if part == "**" else f"{_one(part)}/" for part in folders)
    return re.fullmatch(text + (".+" if last == "**" else _one(last)), path) is not None


def _one(part: str) -> str:
    """Return the regular expression of a pattern without slashes."""

    def expression(match: re.Match[str]) -> str:
        sign, signs, choices, itself = match.groups()
        if choices:
            return f"(?:{'|'.join(map(_one, choices.split(',')))})"
        return f"[{signs}]" if signs else {"*": "[^/]*", "?": "[^/]"}.get(sign) or re.escape(itself)

    return _PART.sub(expression, part)
