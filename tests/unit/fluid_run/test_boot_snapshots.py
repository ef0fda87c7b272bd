"""The boot snapshots of a stack: their names, their budget, and what a kill or a full disk leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.clusters import boot_snapshots, local_machine
from bakery.fluid_run.clusters.boot_snapshots import ABOUT, BootSnapshots
from bakery.fluid_run.clusters.local_machine import MachineKind, snapshot_name
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role
from bakery.host import proc, process
from bakery.host.hardware import ARM
from bakery.paths import StatePaths
from bakery.settings import Accelerator, SnapshotSettings

MIB = 1 << 20
SPEC = MachineSpec("controller", Role.CONTROLLER, 1, 768, address="10.77.0.10", mac="52:00:00:00:00:0a")
KIND = MachineKind(Accelerator.TCG)


@pytest.fixture
def store(tmp_path: Path) -> BootSnapshots:
    return boot_snapshots.boot_snapshots(StatePaths(tmp_path), SnapshotSettings())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "image.qcow2"
    file.write_bytes(b"image")
    return file


def add(store: BootSnapshots, image: Path, name: str, used: float = 0.0) -> Path:
    """Publish a snapshot of a little more than 1 MiB, used that many seconds ago."""
    scratch = store.scratch()
    with (scratch / boot_snapshots.STATE).open("wb") as state:
        state.write(b"x" * MIB)
        os.fsync(state)  # else the file system has not counted its blocks yet
    made = store.publish(scratch, name, image)
    if made.folder.exists():
        os.utime(made.folder / ABOUT, (time.time() - used,) * 2)
    return made.folder


def left(store: BootSnapshots) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_what_is_published_is_found_and_its_use_is_noted(store: BootSnapshots, image: Path) -> None:
    assert store.budget == 4 << 30
    assert store.find("a") is None
    folder = add(store, image, "a", used=1000)
    found = store.find("a")
    assert found is not None
    assert found.state.read_bytes() == b"x" * MIB
    assert time.time() - (folder / ABOUT).stat().st_mtime < 900
    assert (folder.stat().st_mode | store.scratch().stat().st_mode) & 0o77 == 0, "memory is nobody else's to read"


def test_beyond_the_budget_the_least_used_goes(store: BootSnapshots, image: Path) -> None:
    for name, used in (("a", 30), ("b", 10), ("c", 20)):
        add(store, image, name, used)
    small = replace(store, budget=5 * MIB // 2)
    assert small.prune(dry_run=True) > MIB and len(left(store)) == 3
    assert small.prune() > MIB
    assert left(store) == ["b", "c"]
    add(small, image, "d")
    assert left(store) == ["b", "d"]
    replace(store, budget=0).prune()
    assert left(store) == []


def test_one_of_an_image_that_is_gone_or_of_an_earlier_boot_of_this_computer_goes(
    store: BootSnapshots, image: Path
) -> None:
    add(store, image, "a")
    other = image.with_name("other")
    other.touch()
    add(store, other, "b")
    add(store, image, "c")
    other.unlink()
    about = store.folder / "c" / ABOUT
    about.write_text(json.dumps({**json.loads(about.read_text()), "boot": "earlier"}))
    assert store.prune() > 2 * MIB
    assert left(store) == ["a"]


def test_half_a_snapshot_of_a_killed_process_is_cleared(store: BootSnapshots, tmp_path: Path) -> None:
    scratch = store.scratch()
    half = scratch.rename(scratch.with_name(".writing-4194305-0"))
    (half / "machine.state").touch()
    mine = store.scratch()
    line = f"cleared a boot snapshot that a killed process had not finished ({half.name})"
    assert boot_snapshots.clear(StatePaths(tmp_path), dry_run=True) == [line] and half.exists()
    assert boot_snapshots.clear(StatePaths(tmp_path)) == [line]
    assert left(store) == [mine.name]


def test_it_says_why_there_is_no_room(store: BootSnapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(4 << 30) + 768 * MIB))
    assert store.lack(768) == ""
    assert store.lack(769) == f"the disk of {store.folder.parent} has only 4864 MiB left"


def test_one_that_can_not_be_written_is_an_error_that_can_be_caught(store: BootSnapshots) -> None:
    store.folder.write_text("in its place")
    with pytest.raises(InfrastructureFailed):
        store.scratch()


def test_the_name_is_that_of_what_the_machine_is_made_of(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu = tmp_path / "qemu"
    qemu.touch()
    monkeypatch.setattr(process, "find_tool", lambda _name, _hint="": qemu)
    names = [
        snapshot_name(SPEC, KIND, image),
        snapshot_name(replace(SPEC, memory_mb=512), KIND, image),
        snapshot_name(SPEC, replace(KIND, open_shell=True), image),
    ]
    other = replace(SPEC, name="debug-0", role=Role.COMPUTE, mac="52:00:00:00:00:0b", address="10.77.0.11")
    assert snapshot_name(other, KIND, image) == names[0], "nothing of a run is in it"
    qemu.write_text("another version")
    names.append(snapshot_name(SPEC, KIND, image))
    image.write_bytes(b"IMAGE baked again")
    names.append(snapshot_name(SPEC, KIND, image))
    monkeypatch.setattr(local_machine, "agent_digest", lambda: "another agent")
    names.append(snapshot_name(SPEC, KIND, image))
    monkeypatch.setattr(proc, "boot_id", lambda: "another boot")
    names.append(snapshot_name(SPEC, KIND, image))
    assert len(set(names)) == len(names) == 7


def test_only_emulated_machines_like_this_computer_have_snapshots() -> None:
    assert KIND.has_snapshots
    assert not MachineKind(Accelerator.KVM).has_snapshots
    assert not MachineKind(Accelerator.TCG, ARM).has_snapshots
