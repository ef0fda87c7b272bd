"""Which machines of a cluster boot, and which continue from a boot snapshot; QEMU itself is not started."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.fluid_run.agent.mailbox import DiskMailbox
from bakery.fluid_run.clusters import boot_snapshots, local_start
from bakery.fluid_run.clusters.boot_snapshots import BootSnapshot, BootSnapshots
from bakery.fluid_run.clusters.local_machine import MachineKind
from bakery.fluid_run.clusters.local_start import NOTES, MachineStarter
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role
from bakery.fluid_run.clusters.seed import SEED_BYTES
from bakery.host import boot_files, process
from bakery.host.boot_files import BootFiles
from bakery.host.machine import QemuMachine
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import Accelerator, SnapshotSettings

HEAD = MachineSpec("controller", Role.CONTROLLER, 1, 768)
LOGIN = MachineSpec("login-0", Role.LOGIN, 1, 512)
NODES = [MachineSpec(f"debug-{number}", Role.COMPUTE, 1, 768, "debug") for number in range(2)]
SPECS = [HEAD, LOGIN, *NODES]


class Bench:
    """A starter, and what it has started: ``booted``, ``saved`` (amounts of memory) and ``resumed``, with its notes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.booted: list[str] = []
        self.saved: list[int] = []
        self.resumed: list[str] = []
        self.said: list[str] = []
        self.fail: Callable[[], None] = lambda: None
        self.image = folder / "image"
        self.image.touch()
        (folder / "run").mkdir()
        self.seed = folder / "run/seed.tar"
        self.seed.touch()
        os.truncate(self.seed, SEED_BYTES)
        store = boot_snapshots.boot_snapshots(StatePaths(folder), SnapshotSettings())
        self.starter = MachineStarter("run", folder / "run", store)
        files = BootFiles(folder / "vmlinuz", folder / "initrd", "root=/dev/vda1")
        monkeypatch.setattr(boot_files, "extract", lambda *_: files)
        monkeypatch.setattr(local_start, "snapshot_name", lambda spec, *_: f"of-{spec.memory_mb}")
        monkeypatch.setattr(local_start, "save", self.save)
        monkeypatch.setattr(local_start, "resume", self.resume)
        monkeypatch.setattr(QemuMachine, "start", lambda made, *_: self.booted.append(made.name))
        monkeypatch.setattr(process.Running, "stop", lambda _: None)

    def save(self, store: BootSnapshots, spec: MachineSpec, _kind: object, image: Path, **_: Any) -> BootSnapshot:
        self.fail()
        self.saved.append(spec.memory_mb)
        return store.publish(store.scratch(), f"of-{spec.memory_mb}", image)

    def resume(self, saved: BootSnapshot, spec: MachineSpec, *_: Any, **__: Any) -> None:
        self.fail()
        assert saved.folder.name == f"of-{spec.memory_mb}"
        self.resumed.append(spec.name)

    def start(self, *specs: MachineSpec, activity: Activity | None = None) -> None:
        self.starter.start(specs, self.image, activity or Activity(self.said.append))

    def notes(self) -> list[str]:
        file = self.starter.folder / NOTES
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_one_machine_of_each_size_boots_and_all_continue_from_it(bench: Bench) -> None:
    bench.start(*SPECS)
    assert sorted(bench.saved) == [512, 768]
    assert sorted(bench.resumed) == sorted(spec.name for spec in SPECS)
    assert (bench.booted, bench.notes()) == ([], [])
    bench.start(NODES[0])
    assert len(bench.saved) == 2, "a later machine finds what was saved"


@pytest.mark.parametrize("kind", [MachineKind(Accelerator.KVM), None])
def test_without_snapshots_all_boot(bench: Bench, kind: MachineKind | None) -> None:
    if kind:
        bench.starter.kind = kind
    else:
        bench.starter.snapshots = replace(bench.starter.snapshots, budget=0)
    bench.start(*SPECS)
    assert sorted(bench.booted) == sorted(spec.name for spec in SPECS)
    assert (bench.saved, bench.resumed, bench.notes()) == ([], [], [])


def test_if_none_can_be_made_all_boot_and_it_says_why(bench: Bench) -> None:
    def full() -> None:
        raise InfrastructureFailed("the disk of /x has only 7 MiB left")

    bench.fail = full
    bench.start(HEAD, *NODES)
    assert sorted(bench.booted) == ["controller", "debug-0", "debug-1"]
    line = "all machines boot: no boot snapshot: the disk of /x has only 7 MiB left"
    assert bench.notes() == [line]
    assert f"testing: {line}" in bench.said


def test_a_seed_disk_of_another_size_is_not_the_one_that_the_saved_machine_knows(bench: Bench) -> None:
    os.truncate(bench.seed, 5)
    bench.start(HEAD)
    assert (bench.booted, bench.saved, len(bench.notes())) == (["controller"], [], 1)


def test_if_one_can_not_be_loaded_the_machine_boots_and_the_next_is_made_again(bench: Bench) -> None:
    bench.start(HEAD)

    def torn() -> None:
        raise InfrastructureFailed("QEMU gave no answer: load of migration failed")

    bench.fail = torn
    bench.start(NODES[0])
    assert bench.booted == ["debug-0"]
    assert bench.notes() == [
        "debug-0 boots: its boot snapshot can't be used: QEMU gave no answer: load of migration failed"
    ]
    bench.fail = lambda: None
    bench.start(NODES[1])
    assert bench.saved == [768, 768]


def test_a_run_that_is_cancelled_boots_nothing(bench: Bench) -> None:
    activity = Activity()

    def stopped() -> None:
        activity.cancelled.set()
        activity.check()

    bench.fail = stopped
    with pytest.raises(Interrupted):
        bench.start(*SPECS, activity=activity)
    assert (bench.booted, bench.resumed) == ([], [])


@pytest.mark.parametrize(
    ("status", "seconds", "stays"),
    [
        (None, 10, True),  # it was cancelled
        (None, 200, False),
        ({"error": "debug-0 did not join within 600 s", "blame": "infrastructure"}, 10, False),
        ({"error": "the image has no munged", "blame": "image"}, 200, True),
        ({"error": "", "blame": ""}, 200, True),
    ],
)
def test_the_snapshot_of_a_machine_that_failed_is_not_used_again(
    bench: Bench, status: dict[str, str] | None, seconds: int, stays: bool
) -> None:
    bench.start(HEAD)
    bench.starter.started -= seconds
    if status is not None:
        DiskMailbox(bench.starter.folder / "controller.out").send_status(status)
    bench.starter.running.clear()
    bench.starter.stop()
    assert (bench.starter.snapshots.find("of-768") is not None) is stays
