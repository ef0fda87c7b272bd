"""The verdict on a job: exit code, figures by pattern, references with bounds. Pure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from bakery.recipe.model import Json, Metric, SuiteJob
from bakery.results.model import Figure, JobResult

ReadOutput = Callable[[str], str | None]  # the text of a file in the job's output directory; None if it is missing


def value_of(metric: Metric, text: str | None) -> float | None:
    """Return the figure in an output: the first group (or all) of the last match that is a number; None without one."""
    value = None
    for match in re.finditer(metric.pattern, text or "", re.MULTILINE):
        try:
            value = float(match[1] if match.re.groups else match[0])
        except (TypeError, ValueError):
            continue
    return value


def bounds(metric: Metric) -> tuple[float | None, float | None]:
    """Return the least and the greatest good value.

    Bounds are fractions of the reference's absolute value, and values if it is zero, as in ReFrame since 4.8.
    """
    if metric.reference is None:
        return None, None
    size = abs(metric.reference) or 1.0
    least = None if metric.lower is None else metric.reference + metric.lower * size
    most = None if metric.upper is None else metric.reference + metric.upper * size
    return least, most


def figure(metric: Metric, value: float | None) -> Figure:
    """Return a metric with its value; without a value it does not pass, with or without a reference."""
    if value is None or not math.isfinite(value):  # JSON has no infinity
        return Figure(metric, None, False)
    least, most = bounds(metric)
    return Figure(metric, value, (least is None or value >= least) and (most is None or value <= most))


def complaint(failed: Figure) -> str:
    """Return why a figure does not pass."""
    metric = failed.metric
    if failed.value is None:
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
    return f"{metric.name} is {failed.value:g} {metric.unit}".rstrip() + f", wanted {wanted}"


def judge(job: SuiteJob, row: Mapping[str, object], raw: Mapping[str, Json], read: ReadOutput) -> JobResult:
    """Judge one job, first by its exit code; ``raw`` is the agent's result.

    Figures that the agent's result has (by metric name) are not read from the outputs.
    """
    code = row["exit_code"]
    known: Mapping[str, float] = raw.get("figures", {})
    figures = tuple(
        figure(metric, known[metric.name] if metric.name in known else value_of(metric, read(metric.file)))
        for metric in job.metrics
    )
    if code != 0:
        return JobResult(row, figures, False, str(raw.get("reason") or f"exit code {code}"))
    wrong = [complaint(failed) for failed in figures if not failed.passed]
    return JobResult(row, figures, not wrong, "; ".join(wrong))


def summary(jobs: Sequence[JobResult]) -> str:
    """Return the failed jobs in one line; empty if all passed."""
    failed = [f"{job.row.get('benchmark_name')}: {job.reason}" for job in jobs if not job.passed]
    return f"{len(failed)} of {len(jobs)} jobs failed: {', '.join(failed)}" if failed else ""
