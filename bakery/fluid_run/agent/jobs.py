"""Jobs as Slurm's programs print them, and one job of the suite while it runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

from .system import command
from .wire import Json

NOT_RUN = 999  # rcc-run's exit code of a job that has none
TIMED_OUT = 124  # the exit code of timeout(1)
ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
)
LOST = frozenset(("BOOT_FAIL", "NODE_FAIL"))  # ended states that are not the job's fault
SACCT = {  # sacct's names of scontrol's fields
    **{"JobState": "State", "ExitCode": "ExitCode", "RunTime": "Elapsed", "NumNodes": "NNodes", "NumCPUs": "NCPUS"},
    **{"NodeList": "NodeList", "Partition": "Partition", "StartTime": "Start", "EndTime": "End"},
}


class Job:
    """One job of the suite. ``result`` is written to ``agent-results.json``."""

    def __init__(self, index: int, spec: Mapping[str, Json]) -> None:
        self.index = index
        self.spec = spec
        self.number = ""
        self.attempt = 0
        self.done = False
        self.pending_reason = ""  # in Slurm's words
        self.cancelled = ""  # why the agent cancelled it
        self.result: dict[str, Json] = {"index": index, "state": "NOT_SUBMITTED", "exit_code": NOT_RUN, "attempts": []}

    @property
    def attempts(self) -> int:
        """How often the job may be submitted."""
        return int(self.spec.get("attempts") or 1)

    def refuse(self, reason: str, code: int) -> None:
        """Record that the job cannot be submitted."""
        self.done = True
        self.result.update(state="REFUSED", exit_code=code, reason=reason)

    def finish(self, state: str, fields: Mapping[str, str], note: str) -> None:
        """Record the end of an attempt; ``note`` is appended to the reason of a failure."""
        if self.cancelled and state == "CANCELLED":
            state = "TIMEOUT"
        code = exit_code(state, fields.get("ExitCode", ""))
        reason = self.cancelled or f"job ended {state}, exit code {fields.get('ExitCode', '?')}"
        self.result.update(
            state=state,
            exit_code=code,
            reason=reason + note if code else "",
            lost=state in LOST,
            runtime=seconds_of(fields.get("RunTime", "")),
            node_count=int(fields.get("NumNodes", "0").split("-")[0] or 0),
            allocated_cpus=int(fields.get("NumCPUs", "0").split("-")[0] or 0),
            nodes=fields.get("NodeList", ""),
            partition=fields.get("Partition", ""),
            started=fields.get("StartTime", ""),
            ended=fields.get("EndTime", ""),
        )
        kept = ("state", "exit_code", "runtime", "job_id")
        self.result["attempts"].append({key: self.result[key] for key in kept})


def parse_jobs(text: str) -> dict[str, dict[str, str]]:
    """Parse the output of ``scontrol --oneliner show job`` into fields by job number."""
    jobs = [dict(re.findall(r"(?:^|\s)([A-Za-z/:]+)=(\S*)", line)) for line in text.splitlines()]
    return {fields["JobId"]: fields for fields in jobs if "JobId" in fields}


def seconds_of(text: str) -> float:
    """Return the seconds of Slurm's ``[days-]hours:minutes:seconds``; 0 for any other text."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if not match:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def exit_code(state: str, code: str) -> int:
    """Return one number for Slurm's state and ``code:signal``; 0 only for a job that completed with 0."""
    main, _, signal = code.partition(":")
    number = int(main or 0) or (128 + int(signal) if signal not in ("", "0") else 0)
    if state == "TIMEOUT":
        return TIMED_OUT
    if state != "COMPLETED" and number == 0:
        return NOT_RUN
    return number


def sacct(number: str, *options: str) -> str:
    """Return what the cluster's accounts have about a job; empty if it keeps none."""
    words = ("sacct", "-j", number, "-n", "-P", *options)
    return command(*words, check=False).strip() if shutil.which("sacct") else ""


def sacct_fields(number: str) -> dict[str, str]:
    """Return the fields of a job that scontrol has forgotten, if the cluster keeps accounts; otherwise none."""
    text = sacct(number, "-X", "-o", ",".join(SACCT.values()))
    if not text:
        return {}
    fields = dict(zip(SACCT, text.splitlines()[0].split("|")))  # noqa: B905  Python 3.9 has no strict
    fields["JobState"] = (fields["JobState"].split() or [""])[0]
    return fields


def sacct_memory_gb(number: str) -> float | None:
    """Return a job's peak memory in GB (2**30 bytes) from sacct's MaxRSS, if the cluster keeps accounts."""
    text = sacct(number, "--units=K", "-o", "MaxRSS")
    peaks = [float(peak) for peak in re.findall(r"^([\d.]+)K", text, re.MULTILINE)]
    return max(peaks) / 1024**2 if peaks else None
