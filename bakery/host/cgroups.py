"""Control groups that a program makes for its processes; cgroups(7)."""

import time
from contextlib import suppress
from pathlib import Path

END_SECONDS = 10.0  # for processes that were killed; a busy kernel takes moments


def remove(listing: Path, seconds: float = END_SECONDS) -> None:
    """Remove the groups that a file names, one a line, with all below them.

    Processes in them were killed and may not have ended yet: it waits for them up to ``seconds`` in all. A group that
    still has processes is kept.
    """
    deadline = time.monotonic() + seconds
    with suppress(OSError):
        for line in listing.read_text(encoding="utf-8").splitlines():
            while not _removed(Path(line)) and time.monotonic() < deadline:
                time.sleep(0.02)


def _removed(group: Path) -> bool:
    """Remove a group as far as it has no processes, and return whether it is gone."""
    for below in (*sorted(group.rglob("*/"), reverse=True), group):
        with suppress(OSError):
            below.rmdir()
    return not group.exists()
