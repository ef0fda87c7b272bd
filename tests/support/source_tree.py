"""The checkout as the rules see it: tracked files, parsed modules."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.root import ROOT


@cache
def tracked(*options: str) -> tuple[Path, ...]:
    """Every file that git tracks and that is there, relative to the checkout; ``options`` are those of ls-files."""
    command = ["git", "ls-files", "-z", *options]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file())


def text(path: Path) -> str:
    """The content of a tracked file; empty for one that is no text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def shell_scripts() -> list[Path]:
    """Tracked shell scripts: by suffix or by first line."""
    return [path for path in tracked() if path.suffix == ".sh" or is_shell(text(path).partition("\n")[0])]


def is_shell(line: str) -> bool:
    """Whether a file's first line makes it a shell script that shellcheck knows."""
    return line.startswith("# shellcheck shell=") or (
        line.startswith("#!") and line.endswith(("/sh", "/bash", " sh", " bash"))
    )


@dataclass(frozen=True)
class Import:
    """One import: the module that is imported, where, and whether only the type checker sees it."""

    module: str
    line: int
    types_only: bool


@cache
def modules() -> dict[str, Path]:
    """The product's Python modules by dotted name, also those that were not added to git yet."""
    found = {}
    for path in tracked("--cached", "--others", "--exclude-standard"):
        if path.suffix == ".py" and (
            path.parts[0] == "bakery" or (path.name == "__main__.py" and len(path.parts) == 1)
        ):
            found[".".join(path.with_suffix("").parts).removesuffix(".__init__")] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    """A tracked file's syntax tree."""
    return ast.parse(text(path), str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a tracked file's syntax tree."""
    return tuple(ast.walk(parsed(path)))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """All imports of a file; ``from a import b`` counts as ``a.b`` where that is a module of ours, else as ``a``."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    guarded = {
        id(child)
        for node in nodes(path)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: -node.level] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            for alias in node.names:
                full = f"{module}.{alias.name}"
                yield Import(full if full in modules() else module, node.lineno, id(node) in guarded)


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)
