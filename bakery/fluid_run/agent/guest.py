"""A run on an existing cluster: nothing is configured, and the jobs are submitted as the user of this process."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from . import results
from .job_queue import JobQueue
from .reporter import Reporter
from .system import RunError
from .wire import RunSpec


class Lease:
    """The right to run, which ends if the host has not touched a file for ``seconds``.

    Only a change of the file's time counts, as the clocks of file servers may be wrong.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self.file = file
        self.seconds = seconds
        self.last = (-1, time.monotonic())  # the file's time in ns, and when it was read first

    def check(self) -> None:
        """Raise RunError if the lease has expired."""
        touched = self.file.stat().st_mtime_ns if self.file.exists() else 0
        if touched != self.last[0]:
            self.last = (touched, time.monotonic())
        elif time.monotonic() - self.last[1] > self.seconds:
            raise RunError(f"the host has not asked for this run for {self.seconds:.0f} s")


def raise_terminated(*_: object) -> None:
    """Raise RunError; as the handler of SIGTERM this lets the run cancel its jobs."""
    raise RunError("the run was terminated")


def run_as_guest(run_spec: RunSpec, workspace: Path, reporter: Reporter) -> None:
    """Run the jobs on an existing cluster; the jobs that are left are cancelled whatever happens. Raises RunError."""
    signal.signal(signal.SIGTERM, raise_terminated)
    queue = JobQueue(run_spec, workspace, reporter)
    staged = results.file_stamps(workspace)
    lease = Lease(workspace.parent / "lease", run_spec["lease_seconds"])
    try:
        queue.follow(lease.check, run_spec["step_seconds"])
        results.send(queue, staged, workspace)
    except RunError:
        shutil.rmtree(workspace, ignore_errors=True)
        raise
    finally:
        queue.cancel()
