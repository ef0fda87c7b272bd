"""The git repositories that settings and recipes are in, and their revisions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bakery.errors import BakeryError, InputError, Problem
from bakery.host import process


def repository(path: Path) -> Path | None:
    """Return the top of the repository, submodule or work tree that a path is in; None if it is in none."""
    return next((one for one in (path, *path.parents) if (one / ".git").exists()), None)  # a folder or a file


def path_in(top: Path, path: Path) -> str:
    """Return where commits of the repository ``top`` have a path; "" for one outside, or in a clone of another one.

    Of a path in a submodule that is the submodule's: a commit only says which revision of it is meant.
    """
    if not path.is_relative_to(top):
        return ""
    inner = _inner(top, path)
    if inner and not _is_submodule(top, inner):
        return ""
    return (inner or path).relative_to(top).as_posix()


def revision(folder: Path) -> str:
    """Return the git commit of the repository of ``folder`` in hex; "" without git, a repository or a commit."""
    try:
        return process.output(["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=folder).strip()
    except (BakeryError, OSError):
        return ""


def extract(top: Path, revision: str, path: Path, tree: Path) -> None:
    """Write what a commit of the repository ``top`` has at a path below it, to the same place below ``tree``.

    Submodules are included if they are checked out. Nothing is written if the commit has nothing there. Raises
    InputError if the repository or a submodule does not have the commit.
    """
    try:
        # An option can't be meant: what follows gets the commit's name in hex.
        named = ["git", "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
        _extract(top, process.output(named, cwd=top).split()[-1], path_in(top, path), tree)
    except (BakeryError, OSError) as error:
        why = (error.message, *error.tail)[-1] if isinstance(error, BakeryError) else error
        hint = "name a commit that this checkout has (a shallow clone has few)"
        raise InputError([Problem("--since", 1, f"revision {revision!r} can't be read: {why}", hint)]) from error


def authors(packages: Path, folder: Path, since: str, until: str) -> frozenset[str]:
    """Return the addresses of who wrote the commits up to ``until`` that changed the folder, in lower case.

    The commits are those of the repository of ``packages``, which the folder is in. Those of ``since`` and before are
    left out, if it is given. Empty outside of a repository. The addresses are those of ``.mailmap``, if there are any.
    Raises BakeryError if the repository lacks one of the commits.
    """
    if not revision(packages):
        return frozenset()
    commits = f"{since}..{until or 'HEAD'}" if since else until or "HEAD"
    try:
        found = process.output(["git", "log", "--format=%aE", commits, "--", str(folder)], cwd=packages)
    except BakeryError as error:
        why = (error.message, *error.tail)[-1]
        raise BakeryError(
            f"it can't be known who changed {folder}: {why}",
            hint="fetch the whole history: git fetch --unshallow",
        ) from error
    return frozenset(line.lower() for line in found.split("\n") if line)


@cache
def _inner(top: Path, path: Path) -> Path | None:
    """Return the outermost repository below ``top`` that a path is in, or is."""
    if path == top:
        return None
    return _inner(top, path.parent) or (path if (path / ".git").exists() else None)


@cache
def _is_submodule(top: Path, inner: Path) -> bool:
    try:
        return bool(process.output(["git", "ls-files", "--", str(inner)], cwd=top))
    except (BakeryError, OSError):
        return False


def _extract(top: Path, commit: str, name: str, tree: Path) -> None:
    listed = process.output(["git", "ls-tree", "-r", "-z", "--full-tree", commit, "--", name], cwd=top)
    if not listed:
        return
    tree.mkdir(parents=True, exist_ok=True)
    archive = tree.with_name(f"{tree.name}.tar")
    process.output(["git", "archive", "--format=tar", f"--output={archive}", commit, "--", name], cwd=top)
    process.output(["tar", "-xf", str(archive), "-C", str(tree)])
    archive.unlink()
    for entry in filter(None, listed.split("\0")):
        (_, kind, identity), path = entry.partition("\t")[0].split(), entry.partition("\t")[2]
        if kind == "commit" and (top / path / ".git").exists():
            _extract(top / path, identity, ".", tree / path)
