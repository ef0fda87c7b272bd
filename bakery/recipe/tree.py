"""Reads a folder of a recipe: every file's path and mode, the contents of the small ones and the digest of all.

Every content is read and hashed each time, never taken from a time stamp. Nothing here blocks or follows a path out
of the tree: links are resolved first, pipes and sockets are left alone. The folder is hashed as a whole: a digest for
each file costs more than reading it, and is only wanted where a folder was never seen.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakery.errors import Problem

if TYPE_CHECKING:
    from bakery.recipe.parse.findings import Findings

KEPT = 1 << 18  # bytes up to which a content is kept for parsing
CHUNK = 1 << 20
DEEPEST = 60  # folders within each other
MOST_LINKED = 1000  # folders that are reached by links; links can multiply each other
LEFT_OUT = frozenset({".git", "__pycache__"})
NOT_OPENED = frozenset({errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP})  # sockets, devices without a driver
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass
class Tree:
    """What a folder holds. ``files`` maps a path below it to its mode.

    ``targets`` are the files on this machine of paths that lead over a link; ``contents`` holds the small files' bytes,
    ``large`` the other files' SHA-256 in hex, ``problems`` what can't be read, with paths below the folder.
    """

    folder: str
    files: dict[str, int] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    linked: int = 0

    def digest(self) -> str:
        """SHA-256 of all paths, modes, contents and problems, in hex; framed, so no two trees share it."""
        head: list[str] = []  # with the size of each content, which follow in the same order
        contents: list[bytes] = []
        for path, mode in sorted(self.files.items()):
            content = self.contents.get(path)
            if content is None:
                head.append(f"{path}\0{mode} {self.large[path]}")
            else:
                head.append(f"{path}\0{mode} {len(content)}")
                contents.append(content)
        head += [f"\0{problem.file}\0{problem.message}" for problem in sorted(self.problems)]
        framed = "\0".join((str(len(head)), *head, "")).encode("utf-8", "surrogateescape")
        return hashlib.sha256(framed + b"".join(contents)).hexdigest()

    def source(self, path: str) -> str:
        """Return the file on this machine of a path below the folder."""
        return self.targets.get(path) or f"{self.folder}/{path}"

    def digests(self) -> dict[str, str]:
        """Path to SHA-256 of the content, in hex."""
        return self.large | {path: hashlib.sha256(content).hexdigest() for path, content in self.contents.items()}


def read_tree(folder: str, roots: tuple[str, ...]) -> Tree:
    """Return the folder's tree. Links are followed if they stay below one of ``roots``, real paths."""
    tree = Tree(folder)
    _Walk(tree, roots).folder(tree.folder, "", ())
    return tree


def read_part(folder: str, path: str, roots: tuple[str, ...]) -> Tree:
    """Return the tree of a folder with nothing but the file or the folder at ``path``, if there is one."""
    tree = Tree(folder)
    if LEFT_OUT.isdisjoint(path.split("/")):
        _Walk(tree, roots).part(path)
    return tree


def inside(path: str, roots: tuple[str, ...]) -> bool:
    """Whether a real path is one of ``roots`` or below one."""
    return any(path == root or path.startswith(root + os.sep) for root in roots)


class _Walk:
    def __init__(self, tree: Tree, roots: tuple[str, ...]) -> None:
        self.tree = tree
        self.roots = roots

    def findings(self, path: str) -> Findings:
        from bakery.recipe.parse.findings import Findings  # not needed for a tree without problems

        return Findings(path, self.tree.problems)

    def folder(self, source: str, prefix: str, above: tuple[str, ...]) -> None:
        """Take in a folder; ``above`` are the links that led here, as real paths."""
        if prefix.count("/") > DEEPEST:
            self.findings(prefix[:-1]).error(1, f"more than {DEEPEST} folders deep", "move it up")
            return
        if above and not self.linked():
            return
        try:
            with os.scandir(source) as entries:
                for entry in entries:
                    name = entry.name
                    if name in LEFT_OUT:
                        continue
                    if entry.is_symlink():
                        self.link(entry.path, prefix + name, above)
                    elif entry.is_dir():
                        self.folder(entry.path, f"{prefix}{name}/", above)
                    else:
                        self.file(entry.path, prefix + name)
        except OSError as error:
            self.unreadable(prefix.rstrip("/") or ".", error)

    def part(self, path: str) -> None:
        """Take in what is at a path, if it exists."""
        source = f"{self.tree.folder}/{path}"
        if not inside(os.path.realpath(source), self.roots):
            self.findings(path).error(1, "links out of the tree", "copy the file, or link inside the tree")
        elif os.path.isdir(source):  # noqa: PTH112 - a string, as from scandir
            self.folder(source, path + "/", ())
        elif os.path.exists(source):  # noqa: PTH110
            self.file(source, path)

    def linked(self) -> bool:
        """Whether one more folder may be reached by a link."""
        self.tree.linked += 1
        if self.tree.linked == MOST_LINKED:
            self.findings(".").error(1, f"links reach more than {MOST_LINKED} folders", "link to fewer")
        return self.tree.linked < MOST_LINKED

    def link(self, source: str, path: str, above: tuple[str, ...]) -> None:
        """Follow a link to a file or folder inside of the root; anything else is a problem."""
        try:
            target = os.path.realpath(source, strict=True)
        except OSError as error:
            what = "links to itself" if error.errno == errno.ELOOP else "links to a missing file"
            self.findings(path).warn(1, f"{what} and is left out", "fix or remove the link")
            return
        if not inside(target, self.roots):
            self.findings(path).error(1, "links out of the tree", "copy the file, or link inside the tree")
        elif not os.path.isdir(target):  # noqa: PTH112 - a string, as from scandir
            self.file(target, path)
        elif target in above or (os.path.realpath(source.rpartition("/")[0]) + os.sep).startswith(target + os.sep):
            self.findings(path).error(1, "links to a folder that contains it", "remove the link")
        else:
            self.folder(target, path + "/", (*above, target))

    def file(self, source: str, path: str) -> None:
        """Read a regular file; only a large one is hashed on its own."""
        try:
            handle = os.open(source, _FLAGS)
            try:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    self.special(path)
                    return
                # A byte more than there should be, to see its end; a larger buffer costs more than reading into it.
                size = status.st_size
                content = os.read(handle, (size if size < KEPT else KEPT) + 1)
                if len(content) == size:
                    self.tree.contents[path] = content
                else:
                    self.rest(handle, content, path)
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno in NOT_OPENED:
                self.special(path)
            else:
                self.unreadable(path, error)
            return
        if not path.isprintable():  # control characters, or bytes that are not UTF-8: Packer, Cloud Storage
            self.findings(path).error(1, "the name has control characters or is not UTF-8", "rename it")
        self.tree.files[path] = 0o755 if status.st_mode & 0o100 else 0o644
        if source != f"{self.tree.folder}/{path}":
            self.tree.targets[path] = source

    def rest(self, handle: int, content: bytes, path: str) -> None:
        """Read the rest of a large file, or of one that is being written."""
        found = hashlib.sha256(content)
        while chunk := os.read(handle, CHUNK):
            found.update(chunk)
            content += chunk if len(content) <= KEPT else b""
        if len(content) <= KEPT:
            self.tree.contents[path] = content
        else:
            self.tree.large[path] = found.hexdigest()

    def special(self, path: str) -> None:
        self.findings(path).warn(1, "a pipe, socket or device is left out", "remove it from the package")

    def unreadable(self, path: str, error: OSError) -> None:
        hint = "make it readable: its content decides what is baked"
        self.findings(path).error(1, f"cannot be read: {error.strerror or error}", hint)
