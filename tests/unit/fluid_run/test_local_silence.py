"""A machine of a test cluster that KVM does not run says nothing at all; the run does not wait ten minutes for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.local import LocalCluster, LocalClusters
from bakery.fluid_run.clusters.local_machine import MachineKind
from bakery.library.base import ImageRecord
from bakery.settings import Accelerator, parse
from tests.support.clusters import order


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    """A cluster whose machines started 130 s ago with KVM, and have reported nothing yet."""
    image = ImageRecord("app-1", "d", "app", "", "app", "")
    made = LocalClusters(parse({"oven": "local"}, "dev", tmp_path)).cluster("run-1", image, order("app"), tmp_path)
    made.folder.mkdir(parents=True)
    made.machines.kind, made.machines.started = MachineKind(Accelerator.KVM), time.monotonic() - 130
    for spec in made.specs:
        mailbox.make_disk(made.folder / f"{spec.name}.out")
        (made.folder / f"{spec.name}.console.log").write_text("Debian\n")
    return made


def test_a_machine_that_wrote_to_its_console_is_waited_for(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakery.host.space.lack", lambda _folder: "")
    assert not cluster.status().ended
    (cluster.folder / f"{cluster.specs[-1].name}.console.log").write_text("")
    cluster.machines.kind = MachineKind(Accelerator.TCG)
    assert not cluster.status().ended, "emulated machines are slow"


def test_a_silent_machine_ends_the_run(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakery.host.space.lack", lambda _folder: "")
    (cluster.folder / f"{cluster.specs[-1].name}.console.log").write_text("")
    with pytest.raises(InfrastructureFailed, match="nothing to its console for 130 s") as told:
        cluster.status()
    assert "set local.accelerator to tcg" in told.value.hint
