"""``recover`` of the back ends on this machine clears what killed processes left, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.codec import encode
from bakery.host import locks
from bakery.host.files import SCRATCH
from bakery.paths import WORKSPACE, StatePaths
from bakery.settings import Settings
from tests.support.bake_orders import order, source

MakeSettings = Callable[..., Settings]
BAKE = """
import json, sys
from pathlib import Path
from bakery.backends import backend
from bakery.codec import decode
from bakery.orders.model import BakeOrder
from bakery.progress.activity import Activity
from bakery.settings import parse
values, folder, order = json.loads(sys.stdin.read())
activity = Activity(lambda phase: print(phase, flush=True))
backend(parse(values, "test", Path(folder))).oven().bake(decode(BakeOrder, order), activity)
"""


@pytest.fixture(params=["fake", "local"])
def settings(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Settings:
    return make_settings(oven=request.param)


def dead_process(folder: Path) -> None:
    """Sign a scratch folder as a process that has ended."""
    owner = locks.this_process("a test")
    child = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    locks.sign(folder, "a test")
    signed = json.loads((folder / locks.OWNER_FILE).read_text())
    assert signed["pid"] == owner.pid == os.getpid()
    (folder / locks.OWNER_FILE).write_text(json.dumps({**signed, "pid": int(child.stdout)}))


def test_nothing_to_recover_is_nothing_said(settings: Settings) -> None:
    assert backend(settings).recover() == []


def test_a_layer_that_a_killed_bake_had_begun_is_cleared(settings: Settings) -> None:
    half = StatePaths(settings.state).layers / f"{SCRATCH}4194305-0"
    half.parent.mkdir(parents=True)
    half.touch()
    line = f"cleared a layer that a killed bake had not finished ({half.name})"
    assert backend(settings).recover(dry_run=True) == [line] and half.exists()
    assert backend(settings).recover() == [line] and not half.exists()


def test_a_boot_snapshot_that_a_killed_process_had_begun_is_cleared(settings: Settings) -> None:
    half = StatePaths(settings.state).snapshots / f"{SCRATCH}4194305-0"
    half.mkdir(parents=True)
    (half / "machine.state").touch()
    line = f"cleared a boot snapshot that a killed process had not finished ({half.name})"
    assert backend(settings).recover(dry_run=True) == [line] and half.exists()
    assert backend(settings).recover() == [line] and not half.exists()


@pytest.mark.parametrize("place", [".", "orders", "runs/app-0", "outputs/versions", "library"])
def test_a_file_that_a_killed_process_had_not_finished_is_cleared(settings: Settings, place: str) -> None:
    half = settings.state / place / f"{SCRATCH}4194305-0"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.touch()
    also_written = half.with_name(f"{SCRATCH}{os.getpid()}-0")
    also_written.touch()
    line = f"cleared a file that a killed process had not finished ({half.relative_to(settings.state)})"
    assert backend(settings).recover(dry_run=True) == [line] and half.exists()
    assert backend(settings).recover() == [line] and not half.exists()
    assert also_written.exists()


@pytest.mark.parametrize("name", ["bake-app-0123456789ab-01234567", f"{WORKSPACE}app-0123456789ab-2026-abcd"])
def test_what_killed_processes_left_is_cleared_and_what_runs_stays(settings: Settings, name: str) -> None:
    work = StatePaths(settings.state).work
    for folder in (work / name, work / f"{name[:-1]}x"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    dead_process(work / name)
    locks.sign(work / f"{name[:-1]}x", "this test")
    (said,) = backend(settings).recover()
    assert "killed" in said
    assert [folder.name for folder in work.iterdir()] == [f"{name[:-1]}x"]
    assert backend(settings).recover() == []


def test_the_empty_folder_of_a_killed_run_goes_and_that_of_a_living_one_stays(settings: Settings) -> None:
    state = StatePaths(settings.state)
    for run in ("app-0-killed", "app-0-living", "app-0-done", "app-0-new"):
        (state.runs / run).mkdir(parents=True)
    (state.runs / "app-0-done" / "results.json").touch()
    for run in ("app-0-killed", "app-0-living", "app-0-done"):
        os.utime(state.runs / run, (0, 0))
    workspace = state.work / f"{WORKSPACE}app-0-living"
    workspace.mkdir(parents=True)
    locks.sign(workspace, "this test")
    backend(settings).recover()
    assert sorted(run.name for run in state.runs.iterdir()) == ["app-0-done", "app-0-living", "app-0-new"]


def test_a_library_that_cannot_be_read_is_told_after_what_was_cleared(settings: Settings) -> None:
    state = StatePaths(settings.state)
    (state.work / "bake-app-0123456789ab-01234567").mkdir(parents=True)
    dead_process(state.work / "bake-app-0123456789ab-01234567")
    state.library.mkdir()
    (state.library / "library.sqlite").write_bytes(b"damaged")
    cleared, told = backend(settings).recover()
    assert cleared.startswith("cleared what a killed bake had left")
    assert told.startswith("the library was not repaired: ") and "is damaged" in told
    assert "hint: move it away" in told


def test_the_scratch_of_a_killed_fake_bake_is_cleared(tmp_path: Path) -> None:
    values = {"oven": "fake", "fake": {"seconds": 60}}
    wanted = order("slow", (source(tmp_path, "packages/slow/install.sh", "true\n", 0o755),))
    child = subprocess.Popen([sys.executable, "-c", BAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps([values, str(tmp_path), encode(wanted)]))
        child.stdin.close()
        assert child.stdout.readline() == "booting\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    from bakery.settings import parse

    work = StatePaths(tmp_path / ".bakery").work
    assert len(list(work.glob("bake-slow-*"))) == 1
    deadline = time.monotonic() + 20
    while not (said := backend(parse(values, "test", tmp_path)).recover()):
        assert time.monotonic() < deadline
    assert said[0].startswith("cleared what a killed bake had left (bake-slow-")
    assert list(work.glob("bake-*")) == []
