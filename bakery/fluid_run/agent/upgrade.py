"""The upgrade of a cluster, node by node: drain, a new image, resume, while jobs run and others wait.

The controller drains a node and names it in its status (``reimage``). The host replaces the machine by one of the new
image, whose slurmd registers as the same node.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial

from .job_queue import JobQueue
from .jobs import LOST, Job
from .machine import Machine
from .system import RunError, command, write_file
from .wire import AFTER, RELEASE, THROUGH

SILENT = frozenset(("*", "NOT_RESPONDING"))  # flags of a node that does not answer, of older and newer versions


class Upgrade:
    """Advances by one step with every look at the jobs, until all nodes run the new image."""

    def __init__(self, machine: Machine, queue: JobQueue) -> None:
        self.machine = machine
        self.queue = queue
        self._steps = self._all()

    def check(self) -> None:
        """Continue. Raises RunError if a job was lost, a node does not come back, or the cluster is lost."""
        self.machine.check()
        for job in self.queue.jobs:
            if job.result.get("restarts") or job.result["state"] in LOST:
                raise RunError(f"job {job.number} was lost", blame="image")
        next(self._steps, None)

    def _jobs(self, kind: str) -> dict[str, Job]:
        jobs = {str(job.spec["output_directory"]): job for job in self.queue.jobs}
        return {name[len(kind) :]: job for name, job in jobs.items() if name.startswith(kind)}

    def _all(self) -> Iterator[None]:
        through = self._jobs(THROUGH)
        for node, job in through.items():
            yield from self._until(f"the start of a job on {node}", partial(started, job))
        for node, job in through.items():
            yield from self._replace(node, job)
        for job in self._jobs(AFTER).values():
            command("scontrol", "release", job.number)

    def _replace(self, node: str, job: Job) -> Iterator[None]:
        """Drain a node while its job runs, let the job end, wait for the new machine, put the node into service."""
        _, before = node_state(node)
        self._set(node, "State=DRAIN", "Reason=upgrade")
        write_file(self.queue.folder(job) / RELEASE, "")
        yield from self._until(f"the end of all jobs on {node}", lambda: job.done and drained(node))
        self.machine.reporter.update(reimage=node)
        back = f"the return of {node} with the new image"
        yield from self._until(back, lambda: drained(node) and node_state(node)[1] != before, blame="image")
        self._set(node, "State=RESUME")
        yield from self._until(f"{node} in service", lambda: in_service(node), blame="image")
        self.machine.reporter.log(f"{node} was replaced")

    def _set(self, node: str, *words: str) -> None:
        self.machine.reporter.log(f"{node}: {' '.join(words)}")
        command("scontrol", "update", f"NodeName={node}", *words)

    def _until(self, what: str, done: Callable[[], bool], blame: str = "infrastructure") -> Iterator[None]:
        seconds = self.machine.run_spec["start_seconds"]
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise RunError(f"{what} did not happen within {seconds} s", blame)
            yield


def node_state(node: str) -> tuple[set[str], str]:
    """Return the flags of a node's state (a ``*`` of a node that does not answer is one), and when its slurmd began."""
    text = command("scontrol", "--oneliner", "show", "node", node)
    fields = dict(re.findall(r"(?:^|\s)(State|SlurmdStartTime)=(\S*)", text))
    return set(re.findall(r"[A-Z_]+|\*", fields.get("State", ""))), fields.get("SlurmdStartTime", "")


def started(job: Job) -> bool:
    """Return whether a job runs, or has failed already."""
    return job.done or bool(job.result["state"] == "RUNNING")


def drained(node: str) -> bool:
    """Return whether a node answers, runs no job and gets none."""
    flags = node_state(node)[0]
    return flags >= {"IDLE", "DRAIN"} and not flags & SILENT


def in_service(node: str) -> bool:
    """Return whether a node gets jobs."""
    return not node_state(node)[0] & (SILENT | {"DOWN", "DRAIN"})
