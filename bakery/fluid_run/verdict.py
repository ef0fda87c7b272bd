"""What a job's outcome says of the image. Pure: exit codes, figures by pattern, references with bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from bakery.recipe.model import Json, Metric, SuiteJob
from bakery.results.model import Figure, JobResult

ReadOutput = Callable[[str], str | None]  # a file of the job's output directory; None when there is none


def value_of(metric: Metric, text: str | None) -> float | None:
    """The figure in an output: first group (or the whole) of the last match that is a number; None without one."""
    found = None
    for match in re.finditer(metric.pattern, text or "", re.MULTILINE):
        try:
            found = float(match[1] if match.re.groups else match[0])
        except (TypeError, ValueError):
            continue
    return found


def bounds(metric: Metric) -> tuple[float | None, float | None]:
    """The least and the greatest good value. As in ReFrame the fractions are of the reference's absolute value."""
    if metric.reference is None:
        return None, None
    size = abs(metric.reference)
    least = None if metric.lower is None else metric.reference + metric.lower * size
    most = None if metric.upper is None else metric.reference + metric.upper * size
    return least, most


def figure(metric: Metric, value: float | None) -> Figure:
    """The metric as it came out; one that can't be found in the output does not pass, with or without a reference."""
    if value is None or not math.isfinite(value):  # JSON has no word for the others
        return Figure(metric, None, False)
    least, most = bounds(metric)
    return Figure(metric, value, (least is None or value >= least) and (most is None or value <= most))


def complaint(found: Figure) -> str:
    """Why a figure does not pass, in words."""
    metric = found.metric
    if found.value is None:
        return f"{metric.name} was not found in {metric.file}"
    least, most = bounds(metric)
    wanted = " and ".join(
        part
        for part in (
            f"at least {least:g}" if least is not None else "",
            f"at most {most:g}" if most is not None else "",
        )
        if part
    )
    return f"{metric.name} is {found.value:g} {metric.unit}".rstrip() + f", wanted {wanted}"


def judge(job: SuiteJob, row: Mapping[str, object], raw: Mapping[str, Json], read: ReadOutput) -> JobResult:
    """One job, by its exit code first; ``raw`` is the agent's account of it.

    Figures that stand in the account already (by metric name) are not looked for in the outputs.
    """
    code = row["exit_code"]
    known: Mapping[str, float] = raw.get("figures", {})
    figures = tuple(
        figure(metric, known[metric.name] if metric.name in known else value_of(metric, read(metric.file)))
        for metric in job.metrics
    )
    if code != 0:
        return JobResult(row, figures, False, str(raw.get("reason") or f"exit code {code}"))
    wrong = [complaint(found) for found in figures if not found.passed]
    return JobResult(row, figures, not wrong, "; ".join(wrong))


def summary(jobs: Sequence[JobResult]) -> str:
    """The failed jobs in one line; empty when all passed."""
    failed = [f"{job.row.get('benchmark_name')}: {job.reason}" for job in jobs if not job.passed]
    if not failed:
        return ""
    return f"{len(failed)} of {len(jobs)} jobs failed: " + ", ".join(failed)
