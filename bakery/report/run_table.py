"""One Fluid-Run as a terminal's table with one line per job."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Column, Table

from bakery.progress.status_line import elapsed
from bakery.report.library import figure_json, figure_text, number
from bakery.results.model import JobResult, RunResult
from bakery.results.trends import job_label

TITLES = ("job", "group", "partition", "nodes", "exit code", "run time", "memory", "figures", "verdict")


def render(run: RunResult) -> Table:
    """Return the table of the jobs, in the order of the suite."""
    columns = (Column(title, overflow="fold") for title in TITLES)
    table = Table(*columns, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for position, job in enumerate(run.jobs):
        colour = "green" if job.passed else "red"
        cells = [escape(cell) for cell in _cells(job, position)]
        table.add_row(*cells, f"[{colour}]{'passed' if job.passed else escape(job.reason or 'failed')}[/]")
    return table


def summary(run: RunResult) -> str:
    """Return one line with verdict, time and folder of the run."""
    took = elapsed(sum(run.timings.values()))
    passed = sum(job.passed for job in run.jobs)
    line = f"{run.image}: {run.verdict}, {passed} of {len(run.jobs)} jobs passed, {took}"
    return f"{line}; results: {run.folder}" if run.folder else line


def _cells(job: JobResult, position: int) -> list[str]:
    row = job.row
    label = job_label(job, position)
    return [
        label,
        _text(row, "command_group"),
        _text(row, "partition"),
        _text(row, "node_count"),
        _text(row, "exit_code"),
        _measured(row, "runtime", "s"),
        _measured(row, "max_memory_gb", "GB"),
        "\n".join(figure_text(figure_json(label, figure)) for figure in job.figures),
    ]


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _measured(row: Mapping[str, object], name: str, unit: str) -> str:
    value = row.get(name)
    return f"{number(float(value))} {unit}" if isinstance(value, (int, float)) else ""
