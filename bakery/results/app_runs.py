"""Results of Fluid-Runs: rcc-run's ``app_runs`` fields, results as JSON with a schema, and figures over time.

The fields are those of the table ``app_runs`` that rcc-run declares (``google_bigquery_table.benchmarks`` in its
``tf/main.tf``): same names, types, modes and order, so that its queries and dashboards work on the bakery's results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from bakery.codec import encode
from bakery.fluid_run.base import JobResult, RunResult

RESULTS_VERSION = 1
RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class Field:
    """A column of ``app_runs``. ``type`` is BigQuery's: STRING, INT64, FLOAT64, BOOL or DATETIME (UTC, no zone)."""

    name: str
    type: str
    required: bool = False


def _fields(type_: str, names: str) -> tuple[Field, ...]:
    """Fields of one type; a ``!`` marks a required one."""
    return tuple(Field(name.rstrip("!"), type_, name.endswith("!")) for name in names.split())


APP_RUNS: tuple[Field, ...] = (
    *_fields("INT64", "allocated_cpus allocated_gpus"),
    *_fields("STRING", "application_name artifact_type batch_options benchmark_name command_group!"),
    *_fields("STRING", "controller_machine_type"),
    *_fields("INT64", "controller_disk_size_gb"),
    *_fields("STRING", "controller_disk_type"),
    *_fields("BOOL", "compact_placement gvnic filestore"),
    *_fields("STRING", "filestore_tier"),
    *_fields("INT64", "filestore_capacity_gb"),
    *_fields("BOOL", "lustre"),
    *_fields("STRING", "lustre_image"),
    *_fields("INT64", "lustre_mds_node_count"),
    *_fields("STRING", "lustre_mds_machine_type lustre_mds_boot_disk_type"),
    *_fields("INT64", "lustre_mds_boot_disk_size_gb"),
    *_fields("STRING", "lustre_mdt_disk_type"),
    *_fields("INT64", "lustre_mdt_disk_size_gb lustre_mdt_per_mds lustre_oss_node_count"),
    *_fields("STRING", "lustre_oss_machine_type lustre_oss_boot_disk_type"),
    *_fields("INT64", "lustre_oss_boot_disk_size_gb"),
    *_fields("STRING", "lustre_ost_disk_type"),
    *_fields("INT64", "lustre_ost_disk_size_gb lustre_ost_per_oss"),
    *_fields("STRING", "compiler target_arch execution_command! build_id! machine_type gpu_type"),
    *_fields("INT64", "gpu_count node_count"),
    *_fields("DATETIME", "datetime!"),
    *_fields("INT64", "exit_code!"),
    *_fields("STRING", "git_sha!"),
    *_fields("FLOAT64", "max_memory_gb"),
    *_fields("STRING", "stderr stdout partition"),
    *_fields("FLOAT64", "runtime"),
    *_fields("STRING", "vm_image"),
    *_fields("INT64", "ntasks"),
)


def completed(result: RunResult) -> RunResult:
    """The result whose rows have what the run itself knows: build id, time and image where a job left them out."""
    known = {"build_id": result.run_id, "datetime": result.started[:19], "vm_image": result.image}
    return replace(result, jobs=tuple(replace(job, row=_filled(job.row, known)) for job in result.jobs))


def _filled(row: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    given = {name: value for name, value in row.items() if value is not None}
    return {**row, **{name: value for name, value in known.items() if name not in given}}


def to_json(result: RunResult) -> dict[str, Any]:
    """The run as the published schema ``results.schema.json`` has it."""
    return {"version": RESULTS_VERSION, **encode(result)}


def schema() -> dict[str, Any]:
    """The JSON schema of ``results.json``."""
    text = files("bakery.report").joinpath("schemas/results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


class Recorder(Protocol):
    """Where runs are kept: the local library, or BigQuery."""

    def record_run(self, result: RunResult) -> None:
        """Keep the run with all of its jobs; the same run again takes the place of the first."""
        ...


def store_run(result: RunResult, recorder: Recorder) -> RunResult:
    """Keep a run, whatever its verdict: ``results.json`` in its folder (when it has one) and rows at the recorder."""
    whole = completed(result)
    if whole.folder is not None and Path(whole.folder).is_dir():
        write_json(Path(whole.folder) / RESULTS_FILE, to_json(whole))
    recorder.record_run(whole)
    return whole


def write_json(file: Path, value: object) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as sink:
        json.dump(value, sink, indent=2)
        sink.write("\n")
        sink.flush()
        os.fsync(sink.fileno())
    scratch.replace(file)


@dataclass(frozen=True)
class Point:
    """One value of a figure: which run and image it came from, and when (RFC 3339)."""

    run_id: str
    image: str
    started: str
    value: float
    passed: bool


@dataclass(frozen=True)
class Trend:
    """A figure over the runs of a family, oldest first.

    ``job`` is the job's output directory or command group (what tells jobs of a suite apart), ``unit`` that of the
    values. ``change`` is the last value against the mean of the earlier ones as a fraction (0.1: 10 % more), None
    when there is no earlier one or their mean is 0.
    """

    family: str
    job: str
    name: str
    unit: str
    points: tuple[Point, ...]

    @property
    def change(self) -> float | None:
        """The last value against the mean of those before."""
        earlier = [point.value for point in self.points[:-1]]
        mean = sum(earlier) / len(earlier) if earlier else 0.0
        return None if mean == 0.0 else self.points[-1].value / mean - 1.0


def job_label(job: JobResult, position: int) -> str:
    """What a job is called in reports."""
    for key in ("benchmark_name", "command_group"):
        if job.row.get(key):
            return str(job.row[key])
    return f"job {position + 1}"


def trends(runs: Iterable[RunResult], family_of: Mapping[str, str]) -> tuple[Trend, ...]:
    """Every figure of every job over the runs of its family; ``family_of`` maps image names to families."""
    gathered: dict[tuple[str, str, str, str], list[Point]] = {}
    for run in sorted(runs, key=lambda run: (run.started, run.run_id)):
        for position, job in enumerate(run.jobs):
            for figure in job.figures:
                if figure.value is not None and run.image in family_of:
                    key = (family_of[run.image], job_label(job, position), figure.metric.name, figure.metric.unit)
                    point = Point(run.run_id, run.image, run.started, figure.value, figure.passed)
                    gathered.setdefault(key, []).append(point)
    return tuple(Trend(*key, points=tuple(points)) for key, points in sorted(gathered.items()))


def latest(runs: Sequence[RunResult]) -> Mapping[str, RunResult]:
    """The last run of each image, by image name."""
    return {run.image: run for run in sorted(runs, key=lambda run: (run.started, run.run_id))}
