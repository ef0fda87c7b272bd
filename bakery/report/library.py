"""The library as data for ``bakery library --json`` and the reports: images with their last test and figures, runs.

``schemas/library.schema.json`` describes it. Job outputs are left out; they lie in each run's folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from bakery.codec import encode
from bakery.library.base import ImageRecord, Library
from bakery.results.app_runs import without_outputs
from bakery.results.model import Figure, JobResult, RunResult
from bakery.results.trends import Trend, job_label, latest, trends

VERSION = 1


def report(library: Library) -> dict[str, Any]:
    """The library's content, newest runs and images last. Raises Uncertain when it can't be read."""
    return build(library.images(), library.families(), library.runs(outputs=False))


def build(images: Sequence[ImageRecord], families: Mapping[str, str], runs: Sequence[RunResult]) -> dict[str, Any]:
    """The report of given records; pure."""
    last = latest(runs)
    over_time = trends(runs, {image.name: image.candidate_for for image in images})
    return {
        "version": VERSION,
        "images": [_image(image, last.get(image.name), families) for image in images],
        "families": dict(sorted(families.items())),
        "runs": [_run(run) for run in runs],
        "trends": [_trend(trend) for trend in over_time],
    }


def schema() -> dict[str, Any]:
    """The JSON schema of the report."""
    text = files("bakery.report").joinpath("schemas/library.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _image(image: ImageRecord, run: RunResult | None, families: Mapping[str, str]) -> dict[str, Any]:
    return {
        **encode(image),
        "promoted": families.get(image.family or image.candidate_for) == image.name,
        "tested": run.started if run else "",
        "verdict": run.verdict.value if run else "",
        "figures": _figures(run.jobs) if run else [],
    }


def _figures(jobs: Iterable[JobResult]) -> list[dict[str, Any]]:
    return [_figure(job_label(job, n), figure) for n, job in enumerate(jobs) for figure in job.figures]


def _figure(job: str, figure: Figure) -> dict[str, Any]:
    metric = figure.metric
    return {
        "job": job,
        "name": metric.name,
        "value": figure.value,
        "unit": metric.unit,
        "reference": metric.reference,
        "lower": metric.lower,
        "upper": metric.upper,
        "passed": figure.passed,
    }


def _run(run: RunResult) -> dict[str, Any]:
    jobs = [
        {
            "row": dict(job.row),
            "passed": job.passed,
            "reason": job.reason,
            "figures": [_figure(job_label(job, position), figure) for figure in job.figures],
        }
        for position, job in enumerate(without_outputs(run).jobs)
    ]
    return {**encode(run), "jobs": jobs}


def _trend(trend: Trend) -> dict[str, Any]:
    return {**encode(trend), "change": trend.change}


def figures_text(image: Mapping[str, Any]) -> list[str]:
    """The figures of an image as a table shows them: "HPL 2.53 GFLOPS", with a mark where one failed."""
    return [figure_text(figure) for figure in image["figures"]]


def figure_text(figure: Mapping[str, Any]) -> str:
    """One figure in a few words; one that was not found in the output says so."""
    if figure["value"] is None:
        return f"{figure['name']} not found ✗"
    unit = f" {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']} {number(figure['value'])}{unit}{'' if figure['passed'] else ' ✗'}"


def number(value: float) -> str:
    """A figure with four digits that count: 0.001235, 1.235, 1235, 1.235e+07."""
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e7 else f"{value:.0f}"


def shown_time(text: str) -> str:
    """A time for people, to the minute, in UTC."""
    return text[:16].replace("T", " ")


def state_text(image: Mapping[str, Any]) -> str:
    """The state of an image in one word; an ACTIVE one that no family points at is a candidate."""
    if image["state"] != "ACTIVE":
        return str(image["state"])
    return "ACTIVE" if image["promoted"] else "candidate"
