"""The open shell of local test machines: only when it is asked for, and only for this user."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import InfrastructureFailed
from bakery.fluid_run.clusters.local import LocalClusters
from bakery.fluid_run.clusters.local_machine import MachineKind, machine
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role
from bakery.host import boot_files, process
from bakery.library.base import ImageRecord
from bakery.progress.activity import Activity
from bakery.settings import Accelerator, parse
from tests.support.clusters import order

SPEC = MachineSpec("controller", Role.CONTROLLER, 1, 768, address="10.77.0.10", mac="52:00:00:00:00:0a")


def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, open_shell: bool = False) -> list[str]:
    monkeypatch.setattr(process, "find_tool", lambda name, _hint="": Path("/usr/bin") / name)
    files = boot_files.BootFiles(tmp_path / "vmlinuz", tmp_path / "initrd", "root=/dev/vda1")
    kind = MachineKind(Accelerator.TCG, open_shell=open_shell)
    return machine(SPEC, files.root, kind, "run-1", tmp_path).command(files, Accelerator.TCG)


def test_a_machine_has_no_open_shell_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = command(tmp_path, monkeypatch)
    assert words.count("-serial") == 1
    assert not any("debug_shell" in word or "unix:" in word for word in words)


def test_the_open_shell_is_a_socket_in_the_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = command(tmp_path, monkeypatch, open_shell=True)
    assert "unix:controller.shell,server=on,wait=off" in words
    line = words[words.index("-append") + 1]
    assert line.endswith(" systemd.run_failure_action=none systemd.debug_shell=ttyS1"), "to see why an agent failed"
    serial = [words[at + 1] for at, word in enumerate(words) if word == "-serial"]
    assert serial[0].startswith("file:") and serial[1].startswith("unix:"), "ttyS0 is the console, ttyS1 the shell"


def test_it_is_off_unless_keep_is_given(tmp_path: Path) -> None:
    settings = parse({"oven": "local"}, "dev", tmp_path)
    for wanted in (False, True):
        made = backend(settings).clusters(open_seconds=60 * wanted)
        assert isinstance(made, LocalClusters)
        assert made.cluster("r", ImageRecord("a-1", "", "a", "", "a", ""), order("a"), tmp_path).open_shell is wanted


def test_the_runs_folder_with_the_clusters_key_is_nobody_elses_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise InfrastructureFailed("far enough")

    monkeypatch.setattr(boot_files, "extract", broken)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # other machines may have all slots of this computer
    image = ImageRecord("a-1", "", "a", "", "a", "", location=__file__)
    without_kvm = parse({"oven": "local", "local": {"accelerator": "tcg"}}, "dev", tmp_path)
    made = LocalClusters(without_kvm).cluster("run-1", image, order("a"), tmp_path)
    with pytest.raises(InfrastructureFailed, match="far enough"):
        made.provision(Activity())
    assert made.folder.stat().st_mode & 0o777 == 0o700
    made.tear_down()
