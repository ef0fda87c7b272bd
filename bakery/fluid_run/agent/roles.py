"""What a machine does in the run: the controller runs the jobs, workers wait for it, a guest submits the jobs only."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from . import results
from .job_queue import JobQueue
from .join import join
from .machine import Machine
from .mailbox import Reporter
from .slurm_conf import compute_machines
from .system import RunError, command, wait_until
from .upgrade import Upgrade
from .versions import VersionReader
from .wire import RunSpec


def run_machine(machine: Machine, workspace: Path) -> None:
    """Join the cluster and run this machine's part. Raises RunError."""
    join(machine)
    if machine.me["role"] == "controller":
        run_controller(machine, workspace)
        return
    try:
        run_worker(machine)
    except RunError as error:
        machine.report_failure(error)
        raise


def run_worker(machine: Machine) -> None:
    """Run a compute or login machine: report it ready, measure memory and send logs until the run has ended."""
    if machine.me["role"] == "login":
        for _ in wait_until("an answer of slurmctld", machine.run_spec["start_seconds"], 1):
            if command("sinfo", "--noheader", check=False):
                break
    machine.report_ready()
    machine.reporter.update(stage="run", ready=True)
    sent = 0
    while not machine.run_ended:
        machine.check_daemons()
        machine.watch_memory()
        if machine.production:
            from . import power  # see join

            power.suspend_if_asked(machine)
        size = sum(file.stat().st_size for file in machine.reporter.logs.iterdir())
        if size != sent:
            machine.reporter.send_results()
            sent = size
        time.sleep(1)


def run_controller(machine: Machine, workspace: Path) -> None:
    """Run the controller: wait for the nodes, stage the workspace, run the jobs, send the results."""
    versions = VersionReader(machine.versions)
    versions.start()
    wait_for_nodes(machine)
    versions.join()  # before the jobs, whose figures it would disturb
    target = machine.home / "workspace"
    staged = results.stage_workspace(workspace, target, machine.user)
    queue = JobQueue(machine.run_spec, target, machine.reporter, machine.user, str(machine.home))
    check = Upgrade(machine, queue).check if machine.run_spec.get("upgrade") else machine.check
    try:
        with memory_watched(machine):
            queue.follow(check)
        if machine.production:
            from . import production  # see join

            production.end(machine, queue)
    finally:  # the results of a cluster that failed are sent too
        results.send(queue, staged, machine.shared, versions.found)
        machine.end_run()


def wait_for_nodes(machine: Machine) -> None:
    """Wait until all nodes are idle and all login machines have joined; raise RunError naming the missing ones."""
    run_spec, reporter = machine.run_spec, machine.reporter
    nodes = {entry["name"] for entry in compute_machines(run_spec)}
    logins = {entry["name"] for entry in run_spec["machines"] if entry["role"] == "login"}
    others = {entry["name"] for entry in run_spec["machines"]} - {machine.me["name"]}
    deadline = time.monotonic() + run_spec["start_seconds"]
    joined: set[str] | None = None
    ready: set[str] = set()
    while True:
        machine.check()
        before, joined = joined, set(filter(machine.is_ready, others))
        if joined != before or joined == others:  # an emulated machine has better things to do than to ask Slurm
            ready = idle_nodes(command("sinfo", "-h", "-N", "-o", "%N %t", check=False)) & nodes
        ready |= joined & logins
        reporter.update(nodes_ready=len(ready), nodes_total=len(nodes | logins))
        missing = sorted((nodes | logins) - ready)
        if not missing:
            reporter.log("all nodes idle")
            return
        if time.monotonic() > deadline:
            raise RunError(f"{', '.join(missing)} did not join within {run_spec['start_seconds']} s")
        time.sleep(0.3)


def idle_nodes(text: str) -> set[str]:
    """Return the idle nodes in the output of ``sinfo -h -N -o '%N %t'``."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0] for pair in pairs if len(pair) == 2 and pair[1] == "idle"}


@contextlib.contextmanager
def memory_watched(machine: Machine) -> Iterator[None]:
    """Measure the jobs' memory in a thread if this machine runs jobs."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(1):
            machine.watch_memory()

    thread = threading.Thread(target=look, daemon=True)
    if machine.me.get("partition"):
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.ident:
            thread.join()


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
