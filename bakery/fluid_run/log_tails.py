"""The last lines that a failed Fluid-Run shows."""

from __future__ import annotations

from pathlib import Path

from bakery.host.process import TAIL_LINES
from bakery.results.model import JobResult


def job_tail(jobs: tuple[JobResult, ...]) -> tuple[str, ...]:
    """The last lines of the first failed job: what it wrote to stdout, then to stderr, 40 at most."""
    failed = next((job for job in jobs if not job.passed), None)
    if failed is None:
        return ()
    err = str(failed.row.get("stderr") or "").splitlines()[-TAIL_LINES:]
    out = str(failed.row.get("stdout") or "").splitlines()
    room = TAIL_LINES - len(err)
    return (*(out[-room:] if room else ()), *err)


def console_tail(folder: Path) -> tuple[str, ...]:
    """The last lines of the controller's console."""
    for file in sorted((folder / "machines").glob("controller/console.log")):
        return tuple(file.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
    return ()
