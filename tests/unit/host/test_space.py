"""Too little room on the disk ends machines before QEMU halts them without a word."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from bakery.errors import MAKE_ROOM, CommandFailed, InfrastructureFailed
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.local import LocalClusters
from bakery.host import process, space
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.recipe.model import ClusterShape, Suite, SuiteJob
from bakery.settings import parse


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: _Usage(1 << 40, (1 << 40) - free, free))


def test_what_is_lacking_is_told_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(monkeypatch, space.LEAST_FREE)
    assert space.lack(tmp_path) == ""
    leave(monkeypatch, 3 << 20)
    assert space.lack(tmp_path) == f"the disk of {tmp_path} is full (3 MiB left)"


def test_a_cluster_says_that_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Suite((SuiteJob("job", "true", "out"),), ClusterShape((), login_nodes=0))
    order = RunOrder("app-1", "d" * 64, "app", "", suite, (), "", "", "")
    image = ImageRecord("app-1", "d" * 64, "app", "", "app", "", location=str(tmp_path / "image"))
    cluster = LocalClusters(parse({"oven": "local"}, "test", tmp_path)).cluster("run", image, order, tmp_path)
    cluster.folder.mkdir(parents=True)
    mailbox.make_disk(cluster.folder / "controller.out")
    assert cluster.status().error == ""
    leave(monkeypatch, 1 << 20)
    with pytest.raises(InfrastructureFailed, match=r"is full \(1 MiB left\)") as caught:
        cluster.status()
    assert "bakery prune" in caught.value.hint


def test_a_command_that_fills_the_disk_fails_with_what_to_do() -> None:
    with pytest.raises(CommandFailed) as caught:
        process.output(["sh", "-c", "cat /proc/version >/dev/full"])
    assert caught.value.hint == MAKE_ROOM
