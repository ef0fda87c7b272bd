"""What a Fluid-Run shows: its progress, the seconds of its stages, and the last lines after a failure."""

import time
from pathlib import Path

from bakery.fluid_run.base import AgentStatus
from bakery.host.process import TAIL_LINES
from bakery.results.model import JobResult, Stage


def phase(status: AgentStatus) -> str:
    """Return the text that is shown while a run has this status."""
    if status.stage is Stage.START:
        if not status.nodes_total:
            return "testing: machines are booting"
        return f"testing: {status.nodes_ready} of {status.nodes_total} nodes are ready"
    if status.reimage and status.stage is Stage.RUN:
        done = f"{status.jobs_done} of {status.jobs_total} jobs done"
        return f"testing: {status.reimage} gets a new machine, {done}"
    if status.stage in (Stage.SUBMIT, Stage.RUN):
        return f"testing: {status.jobs_done} of {status.jobs_total} jobs done"
    return "testing: collecting results"


class StageClock:
    """The current stage of a run, and the seconds of each stage so far."""

    def __init__(self) -> None:
        self.timings: dict[Stage, float] = {}
        self.stage: Stage | None = None
        self._began = 0.0

    def enter(self, stage: Stage) -> None:
        """End the current stage and begin another one; do nothing if it is the same."""
        if stage is self.stage:
            return
        now = time.monotonic()
        if self.stage is not None:
            self.timings[self.stage] += now - self._began
        self.stage, self._began = stage, now
        self.timings.setdefault(stage, 0.0)

    def rounded(self) -> dict[str, float]:
        """Return the seconds by stage name, including the current stage until now."""
        so_far = {**self.timings}
        if self.stage is not None:
            so_far[self.stage] += time.monotonic() - self._began
        return {stage.value: round(seconds, 2) for stage, seconds in so_far.items()}


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
