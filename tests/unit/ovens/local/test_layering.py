"""What a bake does with layers: when it takes one, and that it goes on without one. Bakes are in tests/machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.errors import ContainerFailed, InfrastructureFailed
from bakery.ovens.local import container, layering, layers
from bakery.ovens.local.layer_names import LayerNames
from bakery.ovens.local.layering import Layering
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import LayerSettings

RUNNING: Any = None
LONG = 100.0


class Bake:
    """A bake with three layers, whose container is only a disk."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.stops = 0
        self.unlike = ""
        self.stuck = False
        monkeypatch.setattr(layers, "MARGIN", 0)
        monkeypatch.setattr(container, "stopped", self._stopped)
        monkeypatch.setattr(container, "unlike", lambda *_: self.unlike)
        self.baker = container.BakeContainer(folder, folder / "console", 1, 512, 4000)
        self.baker.disk.write_text("the disk")
        self.store = layers.layers(StatePaths(folder), LayerSettings())
        names = LayerNames(("one", "two", "three"))
        self.layering = Layering(
            self.store, names, self.baker, "user", Activity(), folder / "log", self.said.append, born=self.born
        )
        self.layering.since = time.monotonic() - LONG

    born = float(int(time.time())) - 100

    @contextmanager
    def _stopped(self, *_: object) -> Iterator[None]:
        self.stops += 1
        if self.stuck:
            raise ContainerFailed("the container does not continue")
        yield

    def take(self, done: int) -> list[str]:
        """Take a layer; return the names of all."""
        self.layering.take(RUNNING, done)
        self.layering.publisher.shutdown()
        return sorted(file.stem for file in self.store.folder.glob("*"))


@pytest.fixture
def bake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bake:
    return Bake(tmp_path, monkeypatch)


def test_a_layer_is_taken_of_the_stopped_container(bake: Bake) -> None:
    assert bake.take(2) == ["two"]
    assert (bake.stops, bake.said) == (1, [])
    assert bake.store.file("two").read_text() == "the disk"
    assert bake.store.file("two").stat().st_mtime == bake.born
    assert time.monotonic() - bake.layering.since < LONG


@pytest.mark.parametrize(("work", "last", "taken"), [(9, False, 0), (11, False, 1), (50, True, 0), (70, True, 1)])
def test_work_counts_by_the_size_of_the_disk_and_more_at_the_end(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, work: int, last: bool, taken: int
) -> None:
    monkeypatch.setattr(layering, "size", lambda _: 1 << 30)
    monkeypatch.setattr(layering, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    bake.layering.since = 1000.0 - work
    bake.layering.take(RUNNING, 2, last=last)
    assert bake.stops == taken


def test_the_clock_starts_with_the_first_provisioner(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layering, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    bake.layering.begun = 1
    assert (bake.take(1), bake.layering.since) == ([], 1000.0)


@pytest.mark.parametrize("done", [0, 4])
def test_before_the_first_provisioner_and_without_a_name_there_is_none(bake: Bake, done: int) -> None:
    assert (bake.take(done), bake.stops) == ([], 0)


def test_one_that_exists_is_not_taken_again(bake: Bake) -> None:
    bake.store.publish(bake.store.copy(bake.baker.disk, Activity()), "two", bake.born)
    assert (bake.take(2), bake.stops) == (["two"], 0)


def test_a_container_that_a_restart_would_change_gives_none(bake: Bake) -> None:
    bake.unlike = "sleep was left running"
    assert (bake.take(1), bake.stops) == ([], 0)
    assert bake.said == ["no layer after provisioner 1: sleep was left running"]


def test_without_room_the_bake_goes_on(bake: Bake) -> None:
    bake.layering.store = replace(bake.store, budget=0)
    assert (bake.take(1), bake.stops) == ([], 0)
    assert bake.said == ["no layer after provisioner 1: it has 0.0 GiB, more than local.layers.budgetGb"]


def test_a_copy_that_fails_costs_the_layer_only(bake: Bake) -> None:
    bake.store.folder.touch()
    bake.layering.take(RUNNING, 1)
    assert [line.partition(":")[0] for line in bake.said] == ["no layer after provisioner 1"]


def test_one_that_can_not_be_written_to_the_disk_costs_the_layer_only(
    bake: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layers, "sync_to_disk", refuse)
    assert bake.take(1) == []
    assert len(bake.said) == 1 and "No space left" in bake.said[0]


def test_a_container_that_does_not_go_on_ends_the_bake(bake: Bake) -> None:
    bake.stuck = True
    with pytest.raises(ContainerFailed, match="does not continue"):
        bake.layering.take(RUNNING, 1)


def test_a_bake_begins_from_the_deepest_layer_and_is_as_old(bake: Bake) -> None:
    assert bake.layering.begin() == 0
    bake.store.publish(bake.store.copy(bake.baker.disk, Activity()), "two", bake.born - 5)
    bake.baker.disk.unlink()
    assert bake.layering.begin() == 2
    assert (bake.baker.disk.read_text(), bake.layering.born) == ("the disk", bake.born - 5)


def test_a_layer_that_is_deleted_meanwhile_is_no_error(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers.Layers, "deepest", lambda *_: 2)
    assert bake.layering.begin() == 0
    assert bake.said[0].startswith("baking from nothing: ")


@pytest.mark.parametrize(("reached", "error", "left"), [
    (False, ContainerFailed("the container did not start"), []),
    (True, ContainerFailed("the container ended during the bake"), ["two"]),
    (False, InfrastructureFailed("Packer was ended by signal 9"), ["two"]),
])  # fmt: skip
def test_a_layer_that_no_container_starts_from_is_not_used_again(
    bake: Bake, reached: bool, error: Exception, left: list[str]
) -> None:
    bake.store.publish(bake.store.copy(bake.baker.disk, Activity()), "two", bake.born)
    with pytest.raises(type(error)), bake.layering as layering_:
        layering_.since = 0.0
        layering_.begin()
        if reached:
            layering_.take(RUNNING, 2)
        raise error
    assert [file.stem for file in bake.store.folder.iterdir()] == left
