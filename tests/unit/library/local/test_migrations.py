"""The schema of the library's database: released scripts never change, and every older library opens."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.library.base import ImageState
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.local.database import Database
from bakery.library.local.library import LocalLibrary
from bakery.library.local.migrations import MIGRATIONS, apply
from bakery.results import app_runs
from bakery.results.app_runs import APP_RUNS, Field
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import Settings

# SHA-256 of every released script. A new script gets a new line; a line never changes.
RELEASED = (
    "357841abf7080079d764fa0a2afc39e1f08824647900dff55455ae2f884df549",
    "8e53756d2c15ea7495a5cb68cbf78d891dea59e748b393a1fadcd3628334f71c",
    "53af718ba881d56185642db21ada9cd725f9ff3c02acd1ef2f86cb746a382c31",
    "6ce604044bdb9829f5484c6ba5c9ab02f19e08745fad0f1ae892881034d671f2",
    "a05cbd4fc74896748b0f720cc9ef05d7d3394b8c297be917bd81d7d800cc8cda",
)
VERSIONS = range(1, len(RELEASED) + 1)
MORE = (*APP_RUNS, Field("energy_joules", "FLOAT64"), Field("turbo", "BOOL"))
ROW = {
    "command_group": "bench",
    "execution_command": "test/bench.sh",
    "build_id": "run-1",
    "datetime": "2026-01-01T00:00:00",
    "exit_code": 0,
    "git_sha": "abc",
    "vm_image": "rcc-1",
}
IMAGE = (
    "INSERT INTO images (name, digest, package, variant, candidate_for, created, family, state, state_since,"
    " replacement, parent, proof, size, bake_seconds, labels, inputs, publication) VALUES ('rcc-1', 'd', 'rcc', '',"
    " 'rcc', '2026-01-01T00:00:00Z', 'rcc', 'ACTIVE', '', '', '', 'passed', 1, 7.5, '{}', '{}', 'p')"
)
RUN = "INSERT INTO runs VALUES ('run-0', 'rcc-1', 't', 'passed', '2025-01-01T00:00:00Z', '{}', NULL, '', NULL)"
JOB = (
    "INSERT INTO jobs (run_id, position, passed, reason, given, figures, command_group, execution_command, build_id,"
    " datetime, exit_code, git_sha) VALUES ('run-0', 0, 1, '', '{\"names\": [\"exit_code\"], \"extra\": {}}', '[]',"
    " 'old', 'old.sh', 'run-0', '2025-01-01T00:00:00', 0, 'abc')"
)


def run(**more: object) -> RunResult:
    job = JobResult({**ROW, **more}, passed=True)
    return RunResult("run-1", "rcc-1", "tests", Verdict.PASSED, "2026-01-01T00:00:00.000Z", (job,))


@pytest.fixture(params=VERSIONS)
def library(request: pytest.FixtureRequest, make_settings: Callable[..., Settings]) -> LocalLibrary:
    """A library as the version of that number left it: one promoted image and one run with one job."""
    opened = LocalLibrary(make_settings())
    file = opened.database.file
    file.parent.mkdir(parents=True)
    opened.files.folder.mkdir()
    opened.files.image("d").write_text("x")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for number, script in enumerate(MIGRATIONS[: request.param], 1):
            apply(connection, number, script)
        for statement in (IMAGE, "INSERT INTO families VALUES ('rcc', 'rcc-1')", RUN, JOB):
            connection.execute(statement)
    return opened


def test_released_scripts_never_change() -> None:
    assert tuple(hashlib.sha256(script.encode()).hexdigest() for script in MIGRATIONS) == RELEASED


def test_a_library_of_every_version_opens_with_its_content(library: LocalLibrary) -> None:
    (image,) = library.images()
    assert (image.name, image.state, library.families()) == ("rcc-1", ImageState.ACTIVE, {"rcc": "rcc-1"})
    assert library.bake_times() == {"rcc": 7.5}
    (old,) = library.runs()
    assert [job.row for job in old.jobs] == [{"exit_code": 0}]
    library.record_run(run())
    assert [one.run_id for one in library.runs("rcc-1")] == ["run-0", "run-1"]
    with library.database.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_every_version_comes_to_the_same_schema(library: LocalLibrary, tmp_path: Path) -> None:
    assert schema(library.database) == schema(Database(tmp_path / "new.sqlite"))


def schema(database: Database) -> list[tuple[str, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")]


def test_a_new_result_field_gets_a_column_in_every_library(
    library: LocalLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_runs, "APP_RUNS", MORE)
    library.record_run(run(energy_joules=12.5, turbo=True))
    old, new = library.runs("rcc-1")
    assert dict(old.jobs[0].row) == {"exit_code": 0}
    assert dict(new.jobs[0].row) == {**ROW, "energy_joules": 12.5, "turbo": True}
    with library.database.reading() as connection:
        rows = connection.execute("SELECT * FROM app_runs ORDER BY build_id").fetchall()
    assert list(rows[0].keys()) == [field.name for field in MORE]
    assert [(row["build_id"], row["energy_joules"], row["turbo"]) for row in rows] == [
        ("run-0", None, None),
        ("run-1", 12.5, 1),
    ]


def test_an_older_bakery_uses_a_library_with_more_fields(
    library: LocalLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(app_runs, "APP_RUNS", MORE)
        library.record_run(run(energy_joules=12.5))
        library.database.close()
    later = replace(run(), run_id="run-2", started="2026-01-02T00:00:00.000Z")
    library.record_run(later)
    assert [one.run_id for one in library.runs("rcc-1")] == ["run-0", "run-1", "run-2"]
    library.database.close()
    monkeypatch.setattr(app_runs, "APP_RUNS", (*APP_RUNS, Field("other", "STRING")))
    library.record_run(replace(later, run_id="run-3"))
    with library.database.reading() as connection:
        (row,) = connection.execute("SELECT * FROM app_runs WHERE energy_joules > 0").fetchall()
    assert list(row.keys()) == [*(field.name for field in APP_RUNS), "other", "energy_joules", "turbo"]


def test_the_promotions_of_an_older_library_are_the_beginning_of_the_history(
    make_settings: Callable[..., Settings],
) -> None:
    opened = LocalLibrary(make_settings())
    opened.database.file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(opened.database.file, isolation_level=None)) as connection:
        for number, script in enumerate(MIGRATIONS[:4], 1):
            apply(connection, number, script)
        insert = "INSERT INTO promotions (family, image, previous, event, at) VALUES (?, ?, ?, ?, ?)"
        connection.execute(insert, ("rcc", "rcc-1", "", "promoted", "2026-01-01T00:00:00Z"))
        connection.execute(insert, ("rcc", "", "rcc-1", "given back", "2026-01-02T00:00:00Z"))
    assert [*opened.history.entries("rcc")] == [
        HistoryEntry("rcc", HistoryEvent.PROMOTED, "rcc-1", at="2026-01-01T00:00:00Z"),
        HistoryEntry("rcc", HistoryEvent.WITHDRAWN, "", "rcc-1", at="2026-01-02T00:00:00Z"),
    ]
