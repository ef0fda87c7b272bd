"""The layers of a stack: their age, their budget, and what a kill or a full disk leaves."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.host import files, process
from bakery.ovens.local import layers
from bakery.ovens.local.layers import DAY, Layers
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import LayerSettings

MIB = 1 << 20


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with much room, whatever this computer has."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))


@pytest.fixture
def store(tmp_path: Path) -> Layers:
    return layers.layers(StatePaths(tmp_path), LayerSettings())


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse disk of 8 MiB, of which one is used."""
    file = tmp_path / "disk.raw"
    with file.open("wb") as raw:
        raw.truncate(8 * MIB)
        raw.seek(4 * MIB)
        raw.write(b"x" * MIB)
        raw.flush()
        os.fsync(raw)  # else the file system has not counted its blocks yet
    return file


def add(store: Layers, disk: Path, name: str, born: float | None = None, used: float | None = None) -> Path:
    store.publish(store.copy(disk, Activity()), name, time.time() if born is None else born)
    file = store.file(name)
    if used is not None:
        os.utime(file, (used, file.stat().st_mtime))
    return file


def left(store: Layers) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_by_default_there_are_ten_gibibytes_for_a_week(store: Layers) -> None:
    assert (store.budget, store.age) == (10 << 30, 7 * DAY)


def test_a_layer_is_the_disk_and_stays_sparse(store: Layers, disk: Path, tmp_path: Path) -> None:
    add(store, disk, "a")
    store.restore("a", tmp_path / "restored.raw", Activity())
    assert (tmp_path / "restored.raw").read_bytes() == disk.read_bytes()
    assert (tmp_path / "restored.raw").stat().st_blocks * 512 < 4 * MIB
    assert store.folder.stat().st_mode & 0o77 == 0, "what is in an image may be nobody else's to read"


def test_the_deepest_that_exists_is_taken(store: Layers, disk: Path) -> None:
    assert store.deepest(("a", "b", "c")) == 0
    add(store, disk, "b")
    assert store.deepest(("a", "b", "c")) == 2
    assert store.deepest(()) == 0


def test_one_that_is_too_old_is_not_used_and_is_replaced(store: Layers, disk: Path) -> None:
    now = time.time()
    add(store, disk, "a", born=now - 6 * DAY)
    assert store.deepest(("a",)) == 1
    old = replace(store, age=5 * DAY)
    assert old.deepest(("a",)) == 0
    add(old, disk, "a", born=now)
    assert old.deepest(("a",)) == 1


def test_one_of_the_future_is_not_used(store: Layers, disk: Path) -> None:
    add(store, disk, "a", born=time.time() + DAY)
    assert store.deepest(("a",)) == 0


def test_its_age_is_that_of_the_first_bake_and_its_use_is_noted(store: Layers, disk: Path, tmp_path: Path) -> None:
    born = float(int(time.time() - 3 * DAY))
    add(store, disk, "a", born=born, used=born)
    assert store.restore("a", tmp_path / "restored.raw", Activity()) == born
    info = store.file("a").stat()
    assert info.st_mtime == born and info.st_atime > born + 2 * DAY


def test_one_that_is_gone_meanwhile_is_an_error_that_can_be_caught(store: Layers, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFailed):
        store.restore("gone", tmp_path / "restored.raw", Activity())


def test_beyond_the_budget_the_least_used_goes(store: Layers, disk: Path) -> None:
    now = time.time()
    for name, used in (("a", now - 30), ("b", now - 10), ("c", now - 20)):
        add(store, disk, name, used=used)
    size = store.file("a").stat().st_blocks * 512
    small = replace(store, budget=2 * size)
    assert small.prune(dry_run=True) == size and len(left(store)) == 3
    assert small.prune() == size
    assert left(store) == ["b.raw", "c.raw"]
    add(small, disk, "d")
    assert left(store) == ["b.raw", "d.raw"]
    assert replace(store, budget=0).prune() == 2 * size


def test_what_is_too_old_goes_within_the_budget(store: Layers, disk: Path) -> None:
    add(store, disk, "a", born=time.time() - 6 * DAY)
    add(store, disk, "b", used=time.time() - 100)
    replace(store, age=5 * DAY).prune()
    assert left(store) == ["b.raw"]


def test_on_a_disk_that_is_nearly_full_the_least_used_go(
    store: Layers, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, used in (("a", 30), ("b", 10)):
        add(store, disk, name, used=time.time() - used)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=layers.MARGIN - 1))
    store.prune()
    assert left(store) == ["b.raw"]


def test_it_says_why_there_is_no_room(store: Layers, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.lack(disk) == ""
    assert replace(store, budget=1).lack(disk) == "it has 0.0 GiB, more than local.layers.budgetGb"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=layers.MARGIN))
    assert store.lack(disk) == f"the disk of {store.folder} has only 4096 MiB left"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_copy_that_fails_leaves_nothing(
    store: Layers, disk: Path, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(command: list[str], **_: object) -> None:
        Path(command[-1]).touch()
        raise Interrupted("stopped on request")

    activity = Activity()
    if cancelled:
        monkeypatch.setattr(process, "run", stopped)
    with pytest.raises(Interrupted if cancelled else InfrastructureFailed):
        store.copy(disk if cancelled else disk.with_name("missing"), activity)
    assert left(store) == []


def test_what_can_not_be_named_leaves_nothing(store: Layers, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    scratch = store.copy(disk, Activity())
    monkeypatch.setattr(layers, "sync_to_disk", refuse)
    with pytest.raises(InfrastructureFailed, match="No space left"):
        store.publish(scratch, "a", time.time())
    assert left(store) == []


def test_half_a_layer_of_a_killed_process_is_not_used_and_is_cleared(store: Layers, disk: Path, tmp_path: Path) -> None:
    half = store.copy(disk, Activity())
    state = StatePaths(tmp_path)
    assert store.deepest((half.stem, half.name)) == 0
    assert layers.clear(state) == [], "its process runs"
    dead = half.rename(half.with_name(f"{files.SCRATCH}4194305-0"))
    line = f"cleared a layer that a killed bake had not finished ({dead.name})"
    assert layers.clear(state, dry_run=True) == [line] and dead.exists()
    assert layers.clear(state) == [line]
    assert left(store) == []
    dead.touch()
    assert (store.prune(dry_run=True), dead.exists()) == (0, True)
    assert (store.prune(), dead.exists()) == (0, False)
