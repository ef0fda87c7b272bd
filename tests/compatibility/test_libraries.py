"""Libraries that released versions wrote: today's code reads them, goes on with them, and bakes nothing again.

Every folder below ``libraries/`` is tested: one for each released version of the database's schema.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakery.library.base import ImageState, Proof
from bakery.library.local.library import LocalLibrary
from bakery.settings import from_file
from tests.compatibility import made, planning
from tests.support.promotions import history

VERSIONS = sorted(folder.name for folder in made.LIBRARIES.iterdir())
BEFORE, NOW = "solver-41f2d36963ad", "solver-8710a46eee51"
GONE = "gone-b3411bbe9846"


@dataclass(frozen=True)
class Restored:
    """A checkout with a recorded library, and the answers of the version that wrote it."""

    folder: Path
    answers: Mapping[str, Any]

    def ask(self, *arguments: str, code: int = 0) -> str:
        """What the command prints to standard output."""
        done = planning.command(self.folder, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ask(*arguments, "--json"))

    @property
    def library(self) -> LocalLibrary:
        return LocalLibrary(from_file(self.folder, "promoted"))


@pytest.fixture(params=VERSIONS)
def restored(request: pytest.FixtureRequest, tmp_path: Path) -> Restored:
    folder = tmp_path / "checkout"
    (folder / "bakery").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: image-bakery\n", encoding="utf-8")
    shutil.copy(planning.LOCK, folder / "bakery.lock")
    made.packages(folder)
    for stack, settings in made.STACKS.items():
        values = {"oven": "fake", **settings}
        config = {"config": {f"image-bakery:{key}": value for key, value in values.items()}}
        (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    made.restore(request.param, folder)
    answers = (made.LIBRARIES / request.param / "answers.json").read_text(encoding="utf-8")
    return Restored(folder, json.loads(moved(answers, folder)))


def moved(text: str, folder: Path) -> str:
    """A recorded answer for the library's new folder: images are where the library is, runs where they were made."""
    library = ".bakery/library"
    return text.replace(f"{made.MADE_AT}/{library}", f"{folder}/{library}")


def test_there_is_a_library_of_the_first_version() -> None:
    assert made.FIRST in VERSIONS


def test_the_library_answers_as_it_did(restored: Restored) -> None:
    assert restored.json("library", "--stack", "promoted") == restored.answers["library"]


def test_the_recorded_library_has_every_kind_of_image_and_run(restored: Restored) -> None:
    images = restored.answers["library"]["images"]
    assert {image["state"] for image in images} == {"ACTIVE", "DEPRECATED"}
    assert {image["proof"] for image in images} == {"passed", "failed", "untested"}
    assert any(image["replacement"] for image in images)
    assert {run["verdict"] for run in restored.answers["library"]["runs"]} == {"passed", "failed"}


PLANNED = ("family", "name", "digest", "action", "tests", "base", "parent", "seconds")


def test_plans_decide_as_they_did(restored: Restored) -> None:
    with ThreadPoolExecutor(2) as pool:
        today = dict(
            zip(made.STACKS, pool.map(lambda stack: restored.json("plan", "--stack", stack), made.STACKS), strict=True)
        )
    assert today
    for stack, plan in today.items():
        recorded = restored.answers["plans"][stack]["images"]
        assert [{key: image[key] for key in PLANNED} for image in plan["images"]] == [
            {key: image[key] for key in PLANNED} for image in recorded
        ], stack


def test_nothing_is_baked_again(restored: Restored) -> None:
    before = made.traces(restored.folder)
    families = ["solver", "untested", "mesh-gcc", "mesh-clang", "flaky", "steady", "kept", "gone"]
    images = restored.json("bake", *families, "--stack", "promoted")["images"]
    assert {image["family"] for image in images} == {*families, "site-base"}
    assert {image["outcome"] for image in images} == {"adopted"}
    assert made.traces(restored.folder) == before


def test_runs_are_listed_with_their_jobs_and_outputs(restored: Restored) -> None:
    runs = restored.library.runs()
    assert [run.run_id for run in runs] == [run["run_id"] for run in restored.answers["library"]["runs"]]
    (steady,) = restored.library.runs(next(run.image for run in runs if run.image.startswith("steady-")))
    (flaky,) = restored.library.runs(next(run.image for run in runs if run.image.startswith("flaky-")))
    outputs = {str(job.row["benchmark_name"]): (job.row["stdout"], job.row["stderr"]) for job in steady.jobs}
    assert any("one line" in str(stdout) and "20 °C" in str(stderr) for stdout, stderr in outputs.values())
    assert [(job.passed, job.row["exit_code"]) for job in flaky.jobs] == [(False, 3), (True, 0)]
    log = (restored.folder / f".bakery/logs/{NOW}.log").read_text(encoding="utf-8")
    assert restored.ask("logs", "solver", "--stack", "promoted") == log


def test_results_on_disk_are_those_in_the_database(restored: Restored) -> None:
    runs = {run["run_id"]: run for run in restored.answers["library"]["runs"]}
    folders = {file.parent.name: file for file in (restored.folder / ".bakery/runs").glob("*/results.json")}
    assert set(folders) == set(runs)
    for name, file in folders.items():
        stored = json.loads(file.read_text(encoding="utf-8"))
        assert (stored["image"], stored["verdict"]) == (runs[name]["image"], runs[name]["verdict"])


def test_a_promotion_and_its_release_work_on_it(restored: Restored) -> None:
    library = restored.library
    assert library.promote(NOW, "solver") == "", "again: nothing changes"
    assert library.promote(BEFORE, "solver") == NOW
    assert library.families()["solver"] == BEFORE
    new, old = library.find(NOW), library.find(BEFORE)
    assert new is not None
    assert old is not None
    assert (new.state, new.replacement) == (ImageState.DEPRECATED, BEFORE)
    assert (old.state, old.family) == (ImageState.ACTIVE, "solver")
    assert library.unpromote(BEFORE, "solver")
    assert library.promote(GONE, "gone") == ""
    library.record_test(GONE, Proof.FAILED, "0" * 64)
    assert [event["event"] for event in history(library, "solver")] == [
        "promoted",
        "promoted",
        "promoted",
        "given back",
    ]
    assert "gone" in library.families()
    assert "solver" not in library.families()


def test_a_test_is_run_and_stored_beside_the_old_ones(restored: Restored) -> None:
    count = len(restored.library.runs())
    assert restored.json("test", "kept", "--stack", "removed")["verdict"] == "passed"
    assert len(restored.library.runs()) == count + 1


def test_an_order_of_before_is_read_when_its_recipe_is_gone(restored: Restored) -> None:
    (
        restored.folder / "packages/gone/packer.json"
    ).unlink()  # no package any more, but the files of its tests are there
    result = restored.json("test", GONE, "--stack", "removed")
    assert (result["image"], result["verdict"]) == (GONE, "passed")
    assert result["tests_digest"] == next(
        run["tests_digest"] for run in restored.answers["library"]["runs"] if run["image"] == GONE
    )


def test_images_are_adopted_when_their_records_are_lost(restored: Restored) -> None:
    for file in (restored.folder / ".bakery/library").glob("library.sqlite*"):
        file.unlink()
    images = {image["name"]: image for image in restored.json("library", "--stack", "promoted")["images"]}
    recorded = {image["name"]: image for image in restored.answers["library"]["images"]}
    assert set(images) == set(recorded)
    for name, image in images.items():
        for key in ("digest", "package", "variant", "candidate_for", "created", "parent", "size", "labels", "inputs"):
            assert image[key] == recorded[name][key], f"{name}: {key}"
    plan = restored.json("plan", "--stack", "promoted")["images"]
    assert "bake" not in {image["action"] for image in plan}


def test_the_recorded_file_is_whole_and_of_its_schema(restored: Restored) -> None:
    """The database opens without its log (it was merged), and says which schema it has."""
    with closing(sqlite3.connect(restored.folder / ".bakery/library/library.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        recorded = int(connection.execute("PRAGMA user_version").fetchone()[0])
    assert recorded >= 1
    restored.library.images()
    with closing(sqlite3.connect(restored.folder / ".bakery/library/library.sqlite")) as connection:
        assert int(connection.execute("PRAGMA user_version").fetchone()[0]) >= recorded
        rows = connection.execute("SELECT build_id, exit_code FROM app_runs").fetchall()
    assert len(rows) == sum(len(run["jobs"]) for run in restored.answers["library"]["runs"])
