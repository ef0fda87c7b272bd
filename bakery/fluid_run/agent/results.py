"""The results of a run: what the jobs wrote, and what became of each job."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import wire
from .job_queue import JobQueue
from .jobs import sacct_memory_gb
from .memory import memory_gb

STREAMS = frozenset(("stdout", "stderr"))  # of these the end is sent if they are too large


def stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time of a file. Raises OSError."""
    info = path.stat()
    return info.st_size, info.st_mtime_ns


def file_stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the stamp of each file below a folder by its path, to find later which files are new."""
    return {str(path): stamp(path) for path in folder.rglob("*") if path.is_file()}


def stage_workspace(source: Path, target: Path, user: str) -> dict[str, tuple[int, int]]:
    """Copy the workspace into the shared home and give it to the user; return the files' stamps."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        shutil.chown(path, user, user)
    return file_stamps(target)


def new_outputs(
    workspace: Path, directories: Sequence[str], staged: Mapping[str, tuple[int, int]]
) -> tuple[list[Path], list[str]]:
    """Return the new files in the jobs' output directories, smallest first, and the names of those left out."""
    sizes: dict[Path, int] = {}
    folders = (folder for directory in directories for folder in os.walk(workspace / directory))
    for path in (Path(folder, name) for folder, _, names in folders for name in names):
        with contextlib.suppress(OSError):  # a process that a job has left running may delete the file now
            if path.is_file() and not path.is_symlink() and staged.get(str(path)) != stamp(path):
                sizes[path] = stamp(path)[0]
    taken, left, total = [], [], 0
    for path, size in sorted(sizes.items(), key=lambda item: item[1]):
        name = f"{path.relative_to(workspace)} ({size} bytes)"
        kept = min(size, wire.FILE_LIMIT)
        if (size > kept and path.name not in STREAMS) or total + kept > wire.TOTAL_LIMIT:
            left.append(name)
            continue
        if size > kept:
            left.append(f"the beginning of {name}")
        taken.append(path)
        total += kept
    return taken, left


def send(
    queue: JobQueue, staged: Mapping[str, tuple[int, int]], shared: Path, versions: Mapping[str, str] | None = None
) -> None:
    """Send ``agent-results.json``, new output files below ``outputs/``, and the logs.

    ``versions`` are those of this machine if it boots the image that is tested.
    """
    reporter = queue.reporter
    reporter.update(stage="collect")
    for job in queue.jobs:
        if not job.done:
            job.result["reason"] = f"had not ended ({job.result['state']})"
        if job.number:
            # The accounting samples; what was measured between two samples may be more.
            peaks = (sacct_memory_gb(job.number), memory_gb(shared, job.number))
            job.result["max_memory_gb"] = max((peak for peak in peaks if peak), default=None)
    taken, left = new_outputs(queue.workspace, [job.spec["output_directory"] for job in queue.jobs], staged)
    results = {
        "version": 1,
        "jobs": [job.result for job in queue.jobs],
        "left_out": left,
        "versions": dict(versions or {}),
    }
    reporter.results = [(wire.RESULTS_NAME, json.dumps(results, indent=1).encode())]
    reporter.results += [(f"outputs/{path.relative_to(queue.workspace)}", path) for path in taken]
    reporter.send_results()
