"""The output of a run: rows and files as rcc-run stores them, and the report at the end."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bakery.rcc_run.arguments import Arguments
from bakery.recipe.model import SuiteJob
from bakery.results.app_runs import RCC_RUN
from bakery.results.model import RunResult

ARTIFACTS = {"gce-image": "gce image", "gce-vm-image": "gce image"}
NAMES = tuple(field.name for field in RCC_RUN)

Row = dict[str, object]


def rows(result: RunResult, given: Arguments, jobs: Sequence[SuiteJob], extra: Mapping[str, object]) -> list[Row]:
    """Return the rows of ``app_runs``: those of the run, with the values that rcc-run takes from its options.

    ``jobs`` are those of the CI file: options that were added for Slurm are not stored in a row.
    """
    overrides: Row = {
        "application_name": None,
        "artifact_type": ARTIFACTS.get(given.artifact_type, given.artifact_type),
        "compiler": given.compiler,
        "target_arch": given.target_arch,
        "vm_image": given.gce_image,
        "git_sha": given.git_sha,
        **extra,
    }
    if given.build_id:
        overrides["build_id"] = given.build_id
    return [
        {
            name: value
            for name, value in {**one.row, **overrides, "batch_options": job.batch_options}.items()
            if name in NAMES
        }
        for one, job in zip(result.jobs, jobs, strict=True)
    ]


def write(top: Path, result: RunResult, stored: Sequence[Row], jobs: Sequence[SuiteJob], given: Arguments) -> None:
    """Write ``results.json``, ``bq-results.json``, ``settings.json`` and output directories to rcc-run's places."""
    tests = [{**row, "output_directory": job.output_directory} for row, job in zip(stored, jobs, strict=True)]
    (top / "results.json").write_text(json.dumps({"tests": tests}), encoding="utf-8")
    lines = "".join(f"{json.dumps(row)}\n" for row in stored)
    (top / "bq-results.json").write_text(lines, encoding="utf-8")
    settings = {name: value for name, value in asdict(given).items() if name != "given"}
    (top / "settings.json").write_text(json.dumps({**settings, "bq_table": given.table}), encoding="utf-8")
    outputs = Path(str(result.folder)) / "outputs"
    if outputs.is_dir():
        shutil.copytree(outputs, top, dirs_exist_ok=True)


def exit_code(result: RunResult) -> int:
    """Return 0 if all jobs passed, else 1."""
    return 0 if all(job.passed for job in result.jobs) else 1


def report(result: RunResult) -> str:
    """Return how many jobs of each command group passed, and why the others failed."""
    groups: dict[str, list[bool]] = {}
    for job in result.jobs:
        groups.setdefault(str(job.row["command_group"]), []).append(job.passed)
    lines = ["Exit code check"]
    for group, passed in groups.items():
        share = 100 * sum(passed) / len(passed)
        lines += [f"  {group}: {sum(passed)} of {len(passed)} passed ({share:.0f} %)"]
    for job in result.jobs:
        if not job.passed:
            lines.append(f"  failed: {job.row['execution_command']} in {job.row['benchmark_name']}: {job.reason}")
    return "\n".join(lines)
