"""Trends: the values of each metric over the runs of a family."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bakery.results.model import JobResult, RunResult


@dataclass(frozen=True)
class FigurePoint:
    """One value of a figure, with the run, the image and the time (RFC 3339) of the run."""

    run_id: str
    image: str
    started: str
    value: float
    passed: bool


@dataclass(frozen=True)
class Trend:
    """A figure over the runs of a family, oldest first.

    ``job`` is the job's output directory or command group, which identifies it in its suite. ``unit`` is the unit of
    the values.
    """

    family: str
    job: str
    name: str
    unit: str
    points: tuple[FigurePoint, ...]

    @property
    def change(self) -> float | None:
        """Return the change of the last value from the mean of the earlier ones, as a fraction (0.1: 10 % more).

        Returns None if there are no earlier values or their mean is 0.
        """
        earlier = [point.value for point in self.points[:-1]]
        mean = sum(earlier) / len(earlier) if earlier else 0.0
        return None if mean == 0.0 else self.points[-1].value / mean - 1.0


def job_label(job: JobResult, position: int) -> str:
    """Return the name of a job in reports."""
    for key in ("benchmark_name", "command_group"):
        if job.row.get(key):
            return str(job.row[key])
    return f"job {position + 1}"


def trends(runs: Iterable[RunResult], family_of: Mapping[str, str]) -> tuple[Trend, ...]:
    """Return the trend of every figure of every job; ``family_of`` maps image names to families."""
    by_figure: dict[tuple[str, str, str, str], list[FigurePoint]] = {}
    for run in sorted(runs, key=lambda run: (run.started, run.run_id)):
        for position, job in enumerate(run.jobs):
            for figure in job.figures:
                if figure.value is not None and run.image in family_of:
                    key = (family_of[run.image], job_label(job, position), figure.metric.name, figure.metric.unit)
                    point = FigurePoint(run.run_id, run.image, run.started, figure.value, figure.passed)
                    by_figure.setdefault(key, []).append(point)
    return tuple(Trend(*key, points=tuple(points)) for key, points in sorted(by_figure.items()))


def latest(runs: Sequence[RunResult]) -> Mapping[str, RunResult]:
    """Map image names to the last run of the image."""
    return {run.image: run for run in sorted(runs, key=lambda run: (run.started, run.run_id))}
