"""The source revision of a checkout."""

from __future__ import annotations

from pathlib import Path

from bakery.host import process


def revision(root: Path) -> str:
    """The git commit of ``root`` in hex; "" where there is no git, no checkout or no commit yet."""
    try:
        return process.output(["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=root).strip()
    except (process.CommandFailed, OSError):
        return ""
