"""Fluid-Run results in the local library's database: written whole, read back as they were."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from bakery.codec import decode, encode
from bakery.results.app_runs import APP_RUNS, OUTPUTS
from bakery.results.json import completed
from bakery.results.model import Figure, JobResult, RunResult, Stage, Verdict

_NAMES = tuple(field.name for field in APP_RUNS)
_BOOLS = frozenset(field.name for field in APP_RUNS if field.type == "BOOL")


def put(connection: sqlite3.Connection, result: RunResult) -> None:
    """Store a run with its jobs, in place of an earlier run of the same id."""
    connection.execute("DELETE FROM runs WHERE run_id = ?", (result.run_id,))
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            result.run_id,
            result.image,
            result.tests_digest,
            result.verdict.value,
            result.started,
            json.dumps(dict(result.timings)),
            result.failed_stage.value if result.failed_stage else None,
            result.reason,
            str(result.folder) if result.folder is not None else None,
        ),
    )
    for position, job in enumerate(completed(result).jobs):
        _put_job(connection, result.run_id, position, job)


def _put_job(connection: sqlite3.Connection, run_id: str, position: int, job: JobResult) -> None:
    extra = {name: value for name, value in job.row.items() if name not in _NAMES}
    own = {
        "run_id": run_id,
        "position": position,
        "passed": int(job.passed),
        "reason": job.reason,
        "given": json.dumps({"names": [name for name in job.row if name in _NAMES], "extra": extra}, default=str),
        "figures": json.dumps([encode(figure) for figure in job.figures]),
    }
    values = {**own, **{name: _cell(job.row.get(name)) for name in _NAMES}}
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def _cell(value: object) -> object:
    """A value as SQLite takes it: whatever a job reports is kept, at worst as JSON text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, default=str)


def select(connection: sqlite3.Connection, image: str | None, outputs: bool) -> list[RunResult]:
    """Runs of an image (None: of all), oldest first; without the jobs' stdout and stderr unless ``outputs``."""
    where, given = ("WHERE image = ?", (image,)) if image is not None else ("", ())
    runs = connection.execute(f"SELECT * FROM runs {where} ORDER BY started, rowid", given).fetchall()
    names = [name for name in _NAMES if outputs or name not in OUTPUTS]
    inner = f"WHERE run_id IN (SELECT run_id FROM runs {where})" if image is not None else ""
    jobs: dict[str, list[JobResult]] = {}
    columns = ", ".join(("run_id", "passed", "reason", "given", "figures", *names))
    for row in connection.execute(f"SELECT {columns} FROM jobs {inner} ORDER BY run_id, position", given):
        jobs.setdefault(row["run_id"], []).append(_job(row, names))
    return [_run(run, tuple(jobs.get(run["run_id"], ()))) for run in runs]


def _job(row: sqlite3.Row, names: list[str]) -> JobResult:
    given: Mapping[str, Any] = json.loads(row["given"])
    shown = {name: row[name] for name in given["names"] if name in names}
    shown.update({name: bool(shown[name]) for name in _BOOLS & shown.keys() if shown[name] is not None})
    figures = tuple(decode(Figure, figure) for figure in json.loads(row["figures"]))
    return JobResult({**shown, **given["extra"]}, figures, bool(row["passed"]), row["reason"])


def _run(row: sqlite3.Row, jobs: tuple[JobResult, ...]) -> RunResult:
    return RunResult(
        run_id=row["run_id"],
        image=row["image"],
        tests_digest=row["tests_digest"],
        verdict=Verdict(row["verdict"]),
        started=row["started"],
        jobs=jobs,
        timings=json.loads(row["timings"]),
        failed_stage=Stage(row["failed_stage"]) if row["failed_stage"] else None,
        reason=row["reason"],
        folder=row["folder"],
    )
