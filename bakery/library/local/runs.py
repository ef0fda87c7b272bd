"""Fluid-Run results in the local library's database."""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bakery.codec import decode, encode
from bakery.results import app_runs
from bakery.results.app_runs import OUTPUTS, completed
from bakery.results.model import Figure, JobResult, RunResult, Stage, Verdict


def insert_run(connection: sqlite3.Connection, result: RunResult) -> None:
    """Store a run with its jobs; replace a stored run of the same ID."""
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
        _insert_job(connection, result.run_id, position, job)


def _insert_job(connection: sqlite3.Connection, run_id: str, position: int, job: JobResult) -> None:
    columns = [field.name for field in app_runs.APP_RUNS]
    extra = {name: value for name, value in job.row.items() if name not in columns}
    own = {
        "run_id": run_id,
        "position": position,
        "passed": int(job.passed),
        "reason": job.reason,
        "given": json.dumps({"names": [name for name in job.row if name in columns], "extra": extra}, default=str),
        "figures": json.dumps([encode(figure) for figure in job.figures]),
    }
    values = {**own, **{name: _cell(job.row.get(name)) for name in columns}}
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def _cell(value: object) -> object:
    """Return the value as SQLite can store it: what has no SQL type becomes JSON text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, default=str)


def select_runs(connection: sqlite3.Connection, image: str | None, outputs: bool) -> list[RunResult]:
    """Return the runs of an image (None: of all images), oldest first; with the jobs' outputs only if ``outputs``."""
    where, given = ("WHERE image = ?", (image,)) if image is not None else ("", ())
    found = connection.execute(f"SELECT * FROM runs {where} ORDER BY started, rowid", given).fetchall()
    return _with_jobs(connection, found, outputs=outputs, every=image is None)


def newest(connection: sqlite3.Connection, images: Collection[str]) -> dict[str, RunResult]:
    """Map those of the images that have runs to the last one, without the jobs' outputs."""
    last = "SELECT rowid FROM runs WHERE image = asked.value ORDER BY started DESC, rowid DESC LIMIT 1"
    query = f"SELECT runs.* FROM json_each(?) AS asked JOIN runs ON runs.rowid = ({last})"
    found = connection.execute(query, (json.dumps([*images]),)).fetchall()
    return {run.image: run for run in _with_jobs(connection, found, outputs=False, every=False)}


def _with_jobs(
    connection: sqlite3.Connection, runs: Sequence[sqlite3.Row], *, outputs: bool, every: bool
) -> list[RunResult]:
    """Return the runs of these rows with their jobs; ``every`` says that these are all that there are."""
    fields = {field.name: field for field in app_runs.APP_RUNS if outputs or field.name not in OUTPUTS}
    inner = "" if every else "WHERE run_id IN (SELECT value FROM json_each(?))"
    given = () if every else (json.dumps([run["run_id"] for run in runs]),)
    jobs: dict[str, list[JobResult]] = {}
    columns = ", ".join(("run_id", "passed", "reason", "given", "figures", *fields))
    for row in connection.execute(f"SELECT {columns} FROM jobs {inner} ORDER BY run_id, position", given):
        jobs.setdefault(row["run_id"], []).append(_job(row, fields))
    return [_run(run, tuple(jobs.get(run["run_id"], ()))) for run in runs]


def _job(row: sqlite3.Row, fields: Mapping[str, app_runs.Field]) -> JobResult:
    given: Mapping[str, Any] = json.loads(row["given"])
    values = {name: _value(fields[name], row[name]) for name in given["names"] if name in fields}
    figures = tuple(decode(Figure, figure) for figure in json.loads(row["figures"]))
    return JobResult({**values, **given["extra"]}, figures, bool(row["passed"]), row["reason"])


def _value(field: app_runs.Field, cell: object) -> object:
    return bool(cell) if field.type == "BOOL" and cell is not None else cell


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
