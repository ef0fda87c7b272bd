"""The source revisions of a checkout."""

from pathlib import Path

from bakery.errors import BakeryError, InputError, Problem
from bakery.host import process


def revision(root: Path) -> str:
    """Return the git commit of ``root`` in hex; "" without git, a checkout or a commit."""
    try:
        return process.output(["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=root).strip()
    except (BakeryError, OSError):
        return ""


def extract(root: Path, revision: str, folder: Path) -> None:
    """Write the files of a commit into a new folder. Raises InputError if ``root`` does not have that commit."""
    archive = folder.with_name(f"{folder.name}.tar")
    packed = ["git", "archive", "--format=tar", f"--output={archive}", "--end-of-options", revision]
    try:
        process.output(packed, cwd=root)
        folder.mkdir()
        process.output(["tar", "-xf", str(archive), "-C", str(folder)])
    except (BakeryError, OSError) as error:
        why = (error.message, *error.tail)[-1] if isinstance(error, BakeryError) else error
        hint = "name a commit that this checkout has (a shallow clone has few)"
        raise InputError([Problem("--since", 1, f"revision {revision!r} can't be read: {why}", hint)]) from error
    finally:
        archive.unlink(missing_ok=True)


def authors(folder: Path, since: str, until: str) -> frozenset[str]:
    """Return the addresses of who wrote the commits up to ``until`` that changed the folder, in lower case.

    Those of ``since`` and before are left out, if it is given. Empty outside of a checkout. The addresses are those of
    ``.mailmap``, if there are any. Raises BakeryError if the checkout lacks one of the commits.
    """
    if not revision(folder):
        return frozenset()
    commits = f"{since}..{until or 'HEAD'}" if since else until or "HEAD"
    try:
        found = process.output(["git", "log", "--format=%aE", commits, "--", "."], cwd=folder)
    except BakeryError as error:
        why = (error.message, *error.tail)[-1]
        raise BakeryError(
            f"it can't be known who changed {folder}: {why}",
            hint="fetch the whole history: git fetch --unshallow",
        ) from error
    return frozenset(line.lower() for line in found.split("\n") if line)
