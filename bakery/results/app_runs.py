"""The table ``app_runs``: its fields, and the rows of a run.

The first fields are those of the table that rcc-run declares (``google_bigquery_table.benchmarks`` in its
``tf/main.tf``): same names, types, modes and order, so that its queries and dashboards work on the bakery's results.
The bakery's own fields follow, as the published schema of results has them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.results.model import RunResult

SCHEMA = Path(__file__).parents[1] / "report" / "schemas" / "results.schema.json"
_TYPES = {"string": "STRING", "integer": "INT64", "number": "FLOAT64", "boolean": "BOOL"}


@dataclass(frozen=True)
class Field:
    """A column of ``app_runs``. ``type`` is BigQuery's: STRING, INT64, FLOAT64, BOOL or DATETIME (UTC, no zone)."""

    name: str
    type: str
    required: bool = False


def _fields(type_: str, names: str) -> tuple[Field, ...]:
    """Return fields of one type; a ``!`` marks a required field."""
    return tuple(Field(name.rstrip("!"), type_, name.endswith("!")) for name in names.split())


RCC_RUN: tuple[Field, ...] = (
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


def _added() -> Iterator[Field]:
    """Yield the fields that the schema has after those of rcc-run; their JSON type is [type, "null"]."""
    row = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]["row"]["properties"]
    for name, described in list(row.items())[len(RCC_RUN) :]:
        yield Field(name, _TYPES[described["type"][0]])


APP_RUNS: tuple[Field, ...] = (*RCC_RUN, *_added())

OUTPUTS = ("stdout", "stderr")  # fields with the whole output of a job


def completed(result: RunResult) -> RunResult:
    """Return the run with build ID, time and image filled in where the row of a job lacks them."""
    known = {"build_id": result.run_id, "datetime": result.started[:19], "vm_image": result.image}
    return replace(result, jobs=tuple(replace(job, row=_filled(job.row, known)) for job in result.jobs))


def _filled(row: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    return {**row, **{name: value for name, value in known.items() if row.get(name) is None}}


def without_outputs(result: RunResult) -> RunResult:
    """Return the run without the outputs of its jobs."""
    rows = [{name: value for name, value in job.row.items() if name not in OUTPUTS} for job in result.jobs]
    return replace(result, jobs=tuple(replace(job, row=row) for job, row in zip(result.jobs, rows, strict=True)))
