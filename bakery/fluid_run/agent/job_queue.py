"""Submits the jobs of the suite to Slurm and follows them."""

from __future__ import annotations

import math
import os
import pwd
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .jobs import ENDED, NOT_RUN, Job, parse_jobs, sacct_fields, seconds_of
from .mailbox import Reporter
from .system import RunError, command
from .wire import Json, RunSpec

LAUNCH_FAILED = "launch_failed_requeued_held"  # Slurm's reason of a job that it holds from then on


class JobQueue:
    """The jobs, chained within their command group as by rcc-run.

    A job with more than one attempt holds back the rest of its group until its last attempt has ended: a dependency by
    ``afterany`` would be satisfied by its first failure. ``user`` is empty on an existing cluster, where the jobs are
    submitted as the user of this process.
    """

    def __init__(self, run_spec: RunSpec, workspace: Path, reporter: Reporter, user: str = "", home: str = "") -> None:
        self.run_spec = run_spec
        self.workspace = workspace
        self.reporter = reporter
        self.user = user
        self.home = home
        self.expired = False
        self.jobs = [Job(index, spec) for index, spec in enumerate(run_spec["jobs"])]

    def follow(self, check: Callable[[], None] | None, step: float = 1) -> None:
        """Submit the jobs and wait for all, polling every ``step`` seconds; ``check`` raises if the run is lost.

        A young run is polled more often, so that short jobs do not wait.
        """
        self.reporter.update(stage="submit", jobs_total=len(self.jobs), jobs_done=0)
        self.submit_ready()
        self.reporter.update(stage="run", jobs_done=self.done_count)
        began = time.monotonic()
        deadline = began + self.run_spec.get("deadline_seconds", math.inf)
        while self.done_count < len(self.jobs):
            time.sleep(min(step, 0.5 + (time.monotonic() - began) / 10))
            if check:
                check()
            self.poll()
            if time.monotonic() > deadline:
                self.expire()
            self.submit_ready()
            running = [job.spec["output_directory"] for job in self.jobs if job.result["state"] == "RUNNING"]
            self.reporter.update(jobs_done=self.done_count, running=running)

    @property
    def done_count(self) -> int:
        """The number of jobs that are done."""
        return sum(job.done for job in self.jobs)

    @property
    def open_jobs(self) -> list[Job]:
        """The jobs that Slurm has and that are not done."""
        return [job for job in self.jobs if job.number and not job.done]

    def groups(self) -> list[list[Job]]:
        """Return the jobs by command group, in file order; each job alone if the run ignores dependencies."""
        groups: dict[str, list[Job]] = {}
        for job in self.jobs:
            alone = self.run_spec.get("ignore_dependencies")
            groups.setdefault(str(job.index) if alone else job.spec["command_group"], []).append(job)
        return list(groups.values())

    def folder(self, job: Job) -> Path:
        """Return a job's output directory."""
        return self.workspace / str(job.spec["output_directory"])

    def arguments(self, job: Job, after: str) -> list[str]:
        """Return the command line of ``sbatch``; the recipe's own options come last and so take precedence."""
        words = ["sbatch", "--parsable"]
        if after:
            words.append(f"--dependency=afterany:{after}")
        if job.spec.get("partition"):
            words.append(f"--partition={job.spec['partition']}")
        if job.spec.get("time_limit"):
            # Slurm counts in minutes; the agent itself cancels the job to the second.
            words.append(f"--time={math.ceil(job.spec['time_limit'] / 60) + 1}")
        folder = str(self.folder(job)).replace("%", "%%")  # sbatch replaces patterns like %j
        words += ["-o", f"{folder}/stdout", "-e", f"{folder}/stderr"]
        words += shlex.split(job.spec.get("batch_options") or "")
        script, *arguments = shlex.split(job.spec["execution_command"])
        return [*words, str(self.workspace / script), *arguments]

    def environment(self, job: Job) -> dict[str, str]:
        """Return a job's environment; WORKSPACE is its output directory, as in rcc-run."""
        base = dict(os.environ)
        if self.user:
            base = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "SHELL": "/bin/bash"}
            base.update(HOME=self.home, USER=self.user, LOGNAME=self.user)
        if "SLURM_CONF" in os.environ:
            base["SLURM_CONF"] = os.environ["SLURM_CONF"]
        paths = {name: str(self.workspace / path) for name, path in self.run_spec.get("env_paths", {}).items()}
        return {**base, **self.run_spec.get("env", {}), **paths, "WORKSPACE": str(self.folder(job))}

    def submit_ready(self) -> None:
        """Submit every job that does not have to wait for another one."""
        for jobs in self.groups():
            after = ""
            for job in jobs:
                if not job.attempt:
                    self.submit(job, after)
                after = job.number or after
                if job.attempts > 1 and not job.done:
                    break

    def submit(self, job: Job, after: str) -> None:
        """Submit one job from a login shell of the user, which sets up profile and modules as for a person."""
        job.attempt += 1
        job.cancelled = ""
        words = self.arguments(job, after)
        try:
            account = self._prepare(job)
        except OSError as error:  # a file has that name, or an earlier job has filled the disk
            job.refuse(f"output directory: {error.strerror}", NOT_RUN)
            return
        done = subprocess.run(
            ["/bin/bash", "-lc", 'exec "$@"', "bash", *words],
            cwd=self.folder(job),
            env=self.environment(job),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            **account,
        )
        self.reporter.log(f"{shlex.join(words)} -> {done.stdout.strip() or done.stderr.strip()}")
        if done.returncode:
            job.refuse(f"sbatch: {done.stderr.strip()}", done.returncode)
            return
        job.number = done.stdout.strip().splitlines()[-1].split(";")[0]
        job.result.update(state="PENDING", job_id=job.number)

    def _prepare(self, job: Job) -> dict[str, Json]:
        """Make the output directory, rename the outputs of an earlier attempt; return the account for subprocess."""
        folder = self.folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        for file in (folder / "stdout", folder / "stderr"):
            if job.attempt > 1 and file.exists():
                file.replace(f"{file}.attempt{job.attempt - 1}")
        if not self.user:
            return {}
        entry = pwd.getpwnam(self.user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def poll(self) -> None:
        """Look at the open jobs once: cancel those over their time limit, record those that have ended."""
        jobs = self.open_jobs
        if not jobs:
            return
        # An existing cluster may have thousands of other jobs, the run's own cluster has none.
        queries = [()] if self.user else [(job.number,) for job in jobs]
        texts = (command("scontrol", "--oneliner", "show", "job", *words, check=False) for words in queries)
        fields = parse_jobs("".join(texts))
        for job in jobs:
            self._update(job, fields.get(job.number) or sacct_fields(job.number))

    def _update(self, job: Job, fields: dict[str, str]) -> None:
        """Take over a job's fields, which are empty if Slurm does not answer; submit a failed job again if allowed."""
        if not fields:
            return
        state = fields.get("JobState", "")
        job.result["state"] = state
        job.result["restarts"] = int(fields.get("Restarts") or 0)
        if state == "RUNNING":
            job.result["nodes"] = fields.get("NodeList", "")  # also of a job that is put back into the queue later
        job.pending_reason = fields.get("Reason", "") if state == "PENDING" else ""
        if job.pending_reason == LAUNCH_FAILED and not job.cancelled:
            why = f"Slurm could not start job {job.number}: its prolog failed, see slurmd.log of its nodes"
            if self.user:  # the run's own cluster: the node is drained, and others wait for it
                raise RunError(why, blame="image")
            self._cancel(job, why)
        limit = job.spec.get("time_limit")
        if state == "RUNNING" and limit and seconds_of(fields.get("RunTime", "")) > limit and not job.cancelled:
            self._cancel(job, f"job was over its time limit of {limit} s")
        if state not in ENDED:
            return
        # If no user can write to the disk, the job itself may be unable to say so.
        full = not os.statvfs(self.workspace).f_bavail
        job.finish(state, fields, "; the disk of the shared home is full" if full else "")
        state, code = job.result["state"], fields.get("ExitCode", "")
        self.reporter.log(f"job {job.number} {state} {code} after {fields.get('RunTime', '?')}")
        if job.result["exit_code"] and job.attempt < job.attempts and not self.expired:
            self.submit(job, "")
        else:
            job.done = True

    def expire(self) -> None:
        """Cancel all open jobs at the run's deadline; the reason says what each did or waited for."""
        self.expired = True
        for job in self.open_jobs:
            if not job.cancelled:
                state = f"{job.result['state']} {job.pending_reason}".strip()
                self._cancel(job, f"job had not ended at the deadline of the run ({state})")

    def _cancel(self, job: Job, reason: str) -> None:
        self.reporter.log(f"{job.number}: {reason}")
        command("scancel", job.number, check=False)
        job.cancelled = reason

    def cancel(self) -> None:
        """Cancel all open jobs."""
        numbers = [job.number for job in self.open_jobs]
        if numbers:
            command("scancel", *numbers, check=False)
