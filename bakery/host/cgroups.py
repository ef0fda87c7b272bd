"""Control groups that a program makes for its processes; cgroups(7)."""

from contextlib import suppress
from pathlib import Path


def remove(listing: Path) -> None:
    """Remove the groups that a file names, one a line, with all below them; one that still has processes stays."""
    with suppress(OSError):
        for line in listing.read_text(encoding="utf-8").splitlines():
            group = Path(line)
            for below in sorted(group.rglob("*/"), reverse=True):
                with suppress(OSError):
                    below.rmdir()
            with suppress(OSError):
                group.rmdir()
