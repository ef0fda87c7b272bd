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
