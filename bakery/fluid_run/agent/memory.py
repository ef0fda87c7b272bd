"""The jobs' peak memory, measured on each machine, as the clusters of a run keep no accounts."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from .system import write_atomic


class MemoryWatch:
    """Peak memory of the jobs on one machine, from the user's processes; look about once a second.

    A job's figure is the largest observed sum of its processes' resident memory, and at least the kernel's high-water
    mark (VmHWM, proc(5)) of its largest process, which any look during the process's life reads.
    """

    def __init__(self, uid: int, proc: Path = Path("/proc")) -> None:
        self.uid = uid
        self.proc = proc
        self.peaks: dict[str, int] = {}  # KiB by job
        self.jobs: dict[int, str] = {}  # job by process

    def _job(self, process: Path) -> str:
        """Return the job of a process from its environment; cached, as it does not change."""
        pid = int(process.name)
        if not self.jobs.get(pid):
            match = re.search(rb"(?:^|\0)SLURM_JOB_ID=(\d+)", (process / "environ").read_bytes())
            self.jobs[pid] = match[1].decode() if match else ""
        return self.jobs[pid]

    def look(self) -> bool:
        """Read all processes once; return whether a peak grew."""
        sums: dict[str, int] = {}
        marks: dict[str, int] = {}
        for process in self.proc.iterdir():
            with contextlib.suppress(OSError, ValueError):
                if not process.name.isdigit() or process.stat().st_uid != self.uid:
                    continue
                job = self._job(process)
                status = (process / "status").read_text(encoding="ascii", errors="replace")
                figures = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
                sums[job] = sums.get(job, 0) + int(figures.get("VmRSS", 0))
                marks[job] = max(marks.get(job, 0), int(figures.get("VmHWM", 0)))
        before = dict(self.peaks)
        for job, total in sums.items():
            if job:
                self.peaks[job] = max(self.peaks.get(job, 0), total, marks[job])
        return self.peaks != before

    def save(self, file: Path) -> None:
        """Write the peaks; a full disk is ignored, as a job may have filled it."""
        with contextlib.suppress(OSError):
            write_atomic(file, json.dumps(self.peaks).encode())


def memory_gb(shared: Path, number: str) -> float | None:
    """Return a job's peak memory on its largest machine in GB (2**30 bytes), from the files of all machines."""
    peaks = []
    for file in shared.glob("memory-*.json"):
        with contextlib.suppress(OSError, ValueError):
            peaks.append(json.loads(file.read_text(encoding="ascii")).get(number, 0))
    best = max(peaks, default=0)
    return best / 1024**2 if best else None
