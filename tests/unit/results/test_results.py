"""The rows and results of Fluid-Runs: rcc-run's schema, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from bakery.recipe.model import Metric
from bakery.results.app_runs import APP_RUNS, RCC_RUN, completed
from bakery.results.json import store_run, to_json
from bakery.results.model import Figure, JobResult, RunResult, Verdict
from bakery.results.trends import latest, trends
from tests.support.schemas import published

ROW = {
    "command_group": "bench",
    "execution_command": "test/bench.sh",
    "build_id": "run-1",
    "datetime": "2026-01-01T00:00:00",
    "exit_code": 0,
    "git_sha": "abc",
}


def result(row: dict[str, object] | None = None, **fields: object) -> RunResult:
    job = JobResult(ROW if row is None else row, (Figure(Metric("m", "x", "s"), 1.0, True),), True)
    made = RunResult("run-1", "rcc-1", "tests", Verdict.PASSED, "2026-01-01T00:00:00.123Z", (job,), {"run": 1.0})
    return replace(made, **fields)  # type: ignore[arg-type]


class Kept:
    """A recorder that keeps."""

    def __init__(self) -> None:
        self.runs: list[RunResult] = []

    def record_run(self, result: RunResult) -> None:
        self.runs.append(result)


def test_app_runs_has_the_fields_of_rcc_runs_table() -> None:
    assert len(RCC_RUN) == 49
    assert APP_RUNS[:49] == RCC_RUN, "the bakery's own fields are at the end"
    assert [field.name for field in APP_RUNS if field.required] == [
        "command_group",
        "execution_command",
        "build_id",
        "datetime",
        "exit_code",
        "git_sha",
    ]
    types = {field.name: field.type for field in APP_RUNS}
    assert (types["runtime"], types["max_memory_gb"], types["lustre"]) == ("FLOAT64", "FLOAT64", "BOOL")
    assert (types["datetime"], types["ntasks"], types["vm_image"]) == ("DATETIME", "INT64", "STRING")
    assert len(types) == len(APP_RUNS)


def test_what_the_run_knows_is_filled_in_and_what_a_job_said_stays() -> None:
    (job,) = completed(result({"command_group": "a", "build_id": "mine", "datetime": None})).jobs
    assert (job.row["build_id"], job.row["datetime"], job.row["vm_image"]) == ("mine", "2026-01-01T00:00:00", "rcc-1")


def test_results_fit_their_schema_whatever_the_verdict() -> None:
    jsonschema.Draft202012Validator.check_schema(published("results"))
    for made in (result(), result(verdict=Verdict.ERROR, jobs=()), result({"command_group": "never ran"})):
        jsonschema.validate(json.loads(json.dumps(to_json(made))), published("results"))


def test_the_schema_has_every_field_of_app_runs() -> None:
    row = published("results")["$defs"]["row"]["properties"]
    assert list(row) == [field.name for field in APP_RUNS]
    types = {"STRING": "string", "DATETIME": "string", "INT64": "integer", "FLOAT64": "number", "BOOL": "boolean"}
    wanted = {field.name: types[field.type] if field.required else [types[field.type], "null"] for field in APP_RUNS}
    assert {name: described["type"] for name, described in row.items()} == wanted


def test_the_released_fields_of_the_bakery_keep_their_types_and_order() -> None:
    """New fields follow them."""
    assert [(field.name, field.type, field.required) for field in APP_RUNS[49:58]] == [
        ("nic_type", "STRING", False),
        ("rdma_network", "STRING", False),
        ("threads_per_core", "INT64", False),
        ("reservation", "STRING", False),
        ("provisioning_model", "STRING", False),
        ("compute_disk_type", "STRING", False),
        ("compute_disk_size_gb", "INT64", False),
        ("cluster_profile", "STRING", False),
        ("test_tier", "STRING", False),
    ]


def test_storing_writes_the_file_and_the_rows(tmp_path: Path) -> None:
    kept = Kept()
    stored = store_run(result(folder=tmp_path), kept.record_run)
    assert kept.runs == [stored]
    assert json.loads((tmp_path / "results.json").read_text())["jobs"][0]["row"]["vm_image"] == "rcc-1"
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_failed_run_without_a_folder_is_stored_too(tmp_path: Path) -> None:
    kept = Kept()
    store_run(result(verdict=Verdict.ERROR, folder=tmp_path / "never made", jobs=()), kept.record_run)
    assert kept.runs[0].verdict is Verdict.ERROR


def test_the_latest_run_of_each_image_counts() -> None:
    old = result(run_id="b", started="2026-01-01T00:00:00Z")
    new = result(run_id="a", started="2026-01-02T00:00:00Z")
    assert latest([new, old]) == {"rcc-1": new}


def test_trends_keep_families_jobs_and_figures_apart_and_leave_out_what_was_not_found() -> None:
    missing = JobResult(ROW, (Figure(Metric("m", "x", "s"), None, False),))
    runs = [
        result(run_id="a", started="2026-01-01T00:00:00Z"),
        result(run_id="b", started="2026-01-02T00:00:00Z", image="rcc-2"),
        result(run_id="c", started="2026-01-03T00:00:00Z", image="other-1"),
        result(run_id="d", started="2026-01-04T00:00:00Z", jobs=(missing,)),
        result(run_id="e", started="2026-01-05T00:00:00Z", image="unknown"),
    ]
    found = trends(runs, {"rcc-1": "rcc", "rcc-2": "rcc", "other-1": "other"})
    assert [(trend.family, [point.run_id for point in trend.points]) for trend in found] == [
        ("other", ["c"]),
        ("rcc", ["a", "b"]),
    ]
    assert [trend.change for trend in found] == [None, 0.0]
