"""The logs of an image of the local back end: its bake, what the bake brought back, and its Fluid-Runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.backends.local.backend import LocalBackend
from bakery.errors import BakeryError
from bakery.library.base import ImageRecord
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings


@pytest.fixture
def kept(make_settings: Callable[..., Settings], tmp_path: Path) -> LocalBackend:
    made = LocalBackend(make_settings())
    for number in (1, 2):
        file = tmp_path / "x.qcow2"
        file.write_text("x")
        created = f"2026-01-0{number}T10:20:30Z"
        made.library().publish(
            ImageRecord(f"hpcc-{number}", str(number).rjust(64, "a"), "hpcc", "", "hpcc", created), file
        )
    folder = made.state.runs / "run-1"
    folder.mkdir(parents=True)
    (folder / "controller.log").write_text("hello")
    run = RunResult("run-1", "hpcc-1", "tests", Verdict.PASSED, "2026-02-01T00:00:00Z", folder=folder)
    made.library().record_run(run)
    made.state.logs.mkdir(parents=True)
    (made.state.logs / "hpcc-1.log").write_text("baked")
    (made.state.logs / "broken-9.log").write_text("failed")
    return made


@pytest.mark.parametrize("wanted", ["hpcc-1"])
def test_logs_are_found_by_name(kept: LocalBackend, wanted: str) -> None:
    found = kept.logs(wanted)
    assert found.bake.endswith("/hpcc-1.log")
    assert found.read() == b"baked"
    assert [(run.run_id, [Path(file).name for file in run.files]) for run in found.runs] == [
        ("run-1", ["controller.log"])
    ]


def test_what_the_bake_brought_back_stands_by_its_log(kept: LocalBackend) -> None:
    assert kept.logs("hpcc-2").kept == ()
    lock = kept.library().files.kept("hpcc-1") / "spack.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert kept.logs("hpcc-1").kept == (str(lock),)


def test_logs_of_a_family_are_those_of_its_image(kept: LocalBackend) -> None:
    assert kept.logs("hpcc").image == "hpcc-2"  # the newest, nothing is promoted
    kept.library().promote("hpcc-1", "hpcc")
    assert kept.logs("hpcc").image == "hpcc-1"


def test_logs_of_a_failed_bake_are_found_without_a_record(kept: LocalBackend) -> None:
    found = kept.logs("broken")
    assert (found.image, found.runs) == ("broken-9", ())
    assert found.bake


def test_logs_that_do_not_fit_one_image_are_an_error(kept: LocalBackend) -> None:
    with pytest.raises(BakeryError, match="matches 2 images") as raised:
        kept.logs("hpcc-")
    assert "hpcc-1, hpcc-2" in raised.value.hint
    with pytest.raises(BakeryError, match="no image nothing"):
        kept.logs("nothing")
