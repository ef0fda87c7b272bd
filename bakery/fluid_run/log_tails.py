"""The last lines that a failed Fluid-Run shows."""

from pathlib import Path

from bakery.host.process import TAIL_LINES
from bakery.results.model import JobResult


def job_tail(jobs: tuple[JobResult, ...]) -> tuple[str, ...]:
    """Return at most 40 lines of the first failed job: the end of its stdout, then the end of its stderr."""
    failed = next((job for job in jobs if not job.passed), None)
    if failed is None:
        return ()
    err = str(failed.row.get("stderr") or "").splitlines()[-TAIL_LINES:]
    out = str(failed.row.get("stdout") or "").splitlines()
    room = TAIL_LINES - len(err)
    return (*(out[-room:] if room else ()), *err)


def console_tail(folder: Path) -> tuple[str, ...]:
    """Return the last lines of the controller's console; none if the console was not collected."""
    console = folder / "machines/controller/console.log"
    if not console.is_file():
        return ()
    return tuple(console.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
