"""What a bake keeps: files that a recipe downloads from the machine, and what is left of a failed one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import BakeFailed, BakeryError, ContainerFailed, InfrastructureFailed, PortTaken
from bakery.host.boot_files import BootFiles
from bakery.host.hardware import ARM, X86
from bakery.ovens.local import base_image, container, downloads, oven, scratch
from bakery.ovens.local.machine import BakeMachine
from bakery.ovens.local.template import Rendering
from bakery.plan.template import downloaded_paths
from bakery.progress.activity import Activity
from bakery.recipe.load import load
from bakery.settings import Accelerator, parse
from tests.support import source_tree
from tests.support.bake_orders import order, source

LOCK = {
    "type": "file",
    "direction": "download",
    "source": "/opt/spack.lock",
    "destination": "{{user `path`}}/spack.lock",
}
TEMPLATE = {"variables": {"path": "packages/none"}, "provisioners": [{"type": "shell", "inline": ["true"]}, LOCK]}
VARIABLES = {"path": "packages/app"}


def test_a_download_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "workspace/packages/app/spack.lock"
    file.parent.mkdir(parents=True)
    file.write_text("{}", encoding="utf-8")
    (file.parent / "other").touch()
    downloads.keep_downloads(TEMPLATE, VARIABLES, tmp_path / "workspace", tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["spack.lock"]


def test_what_an_earlier_bake_left_goes(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/spack.lock").touch()
    downloads.keep_downloads({}, {}, tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("destination", ["/etc/passwd", "../up", ""])
def test_nothing_is_taken_from_outside_of_the_workspace(destination: str) -> None:
    assert downloaded_paths({"provisioners": [{**LOCK, "destination": destination}]}, {}) == ()


def test_every_package_with_an_environment_brings_its_lock_back() -> None:
    recipes = load(source_tree.ROOT / "packages", source_tree.ROOT / "common").recipes
    assert len(recipes) > 10
    for recipe in recipes:
        found = downloaded_paths(recipe.template, {"pkg_path": recipe.workspace_path})
        expected = (f"{recipe.workspace_path}/spack.lock",) if (recipe.folder / "env").is_dir() else ()
        assert found == expected, recipe.name


def test_a_machine_that_can_not_be_left_up_does_not_hide_why_the_bake_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(*_: object) -> tuple[int, str]:
        raise InfrastructureFailed("qemu-system-x86_64 ended with exit code 1")

    monkeypatch.setattr(oven, "boot_again", boot)
    machine = BakeMachine(tmp_path, tmp_path / "console", Accelerator.TCG, 1, 512, (4000, 4020))
    machine.disk.parent.mkdir()
    machine.disk.touch()
    error = BakeFailed("provisioner 1 of 1 failed")
    local = oven.LocalOven(parse({"local": {"keepFailed": True}}, "test", tmp_path))
    local._keep(machine, Rendering({}, {}, "gce", "packer", 0, (), ()), error)
    assert error.hint == "its machine could not be left up: qemu-system-x86_64 ended with exit code 1"
    assert (tmp_path / scratch.KEPT).read_text() == ""
    assert not machine.disk.exists()


def test_the_replay_of_a_failed_base_image_names_no_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(*_: object, **_more: object) -> None:
        raise InfrastructureFailed(
            "mmdebstrap ended with exit code 25", replay="mmdebstrap /tmp/bakery-base-x/disk.raw"
        )

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # with slots that nobody else waits for
    monkeypatch.setattr(oven.base_image, "get", get)
    monkeypatch.setattr(oven.packer, "prepare", lambda *_: None)
    monkeypatch.setattr(oven.process, "find_tool", lambda *_: Path())
    wanted = order("app", (source(tmp_path, "packages/app/install.sh", "true\n", 0o755),))
    with pytest.raises(InfrastructureFailed) as failed:
        oven.LocalOven(parse({}, "test", tmp_path)).bake(wanted, Activity())
    assert failed.value.replay == "bakery bake app --stack test"


class Both:
    """A local oven whose containers and machines only write down that they were asked, and raise what they are told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, isolation: str = "auto") -> None:
        self.asked: list[str] = []
        self.raises: dict[str, list[BakeryError]] = {"container": [], "machine": []}
        monkeypatch.setattr(container, "lack", lambda: "")
        values = {"local": {"accelerator": "tcg", "isolation": isolation}}
        self.oven = oven.LocalOven(parse(values, "test", folder))
        for way in self.raises:
            monkeypatch.setattr(self.oven, f"_in_{way}", lambda _job, way=way: self._bake(way))
        self.log = folder / "log"
        wanted = order("app", (source(folder, "packages/app/install.sh", "#!/bin/sh\ntrue\n", 0o755),))
        self.job = oven._Job(wanted, Activity(), folder, self.log, base_image.Bootable(folder / "base"), X86)

    def _bake(self, way: str) -> Path:
        self.asked.append(way)
        if self.raises[way]:
            raise self.raises[way].pop(0)
        return Path(way)


DENIED = BakeFailed("provisioner 1 of 1 failed", tail=("x: mount: /mnt: permission denied.", "exit status 32"))


def test_the_log_says_where_an_image_is_baked_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch)
    assert both.oven._baked(both.job) == Path("container")
    expected = "bakery: baking in a container: machines are emulated here, and the recipe needs no kernel of its own\n"
    assert both.log.read_text() == expected


@pytest.mark.parametrize("error", [DENIED, ContainerFailed("the container did not start")])
def test_what_a_container_can_not_do_is_done_in_a_machine_and_the_log_says_why(
    error: BakeryError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Both(tmp_path, monkeypatch)
    both.raises["container"] = [error]
    assert both.oven._baked(both.job) == Path("machine")
    assert both.asked == ["container", "machine"]
    reason = error.tail[0] if error.tail else error.message
    assert both.log.read_text().splitlines()[-1] == f"bakery: baking again, in a machine: {reason}"


def test_a_recipe_that_fails_by_itself_is_not_baked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch)
    both.raises["container"] = [BakeFailed("failed", tail=("E: no such package",))]
    with pytest.raises(BakeFailed) as caught:
        both.oven._baked(both.job)
    assert (both.asked, caught.value.replay) == (["container"], "bakery bake app --stack test")


def test_a_failure_of_this_computer_is_not_a_reason_to_emulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch)
    both.raises["container"] = [InfrastructureFailed("a package archive can't be reached", tail=DENIED.tail)]
    with pytest.raises(InfrastructureFailed):
        both.oven._baked(both.job)
    assert both.asked == ["container"]


def test_a_container_that_the_settings_ask_for_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch, "container")
    both.raises["container"] = [DENIED]
    with pytest.raises(BakeFailed):
        both.oven._baked(both.job)
    assert both.asked == ["container"]


def test_a_port_that_is_taken_twice_is_tried_three_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch)
    both.raises["container"] = [PortTaken("taken") for _ in range(oven.ATTEMPTS - 1)]
    assert both.oven._baked(both.job) == Path("container")
    both.raises["container"] = [PortTaken("taken") for _ in range(oven.ATTEMPTS)]
    with pytest.raises(PortTaken):
        both.oven._baked(both.job)
    assert both.asked == ["container"] * 2 * oven.ATTEMPTS


def test_an_image_for_processors_that_nothing_here_has_is_not_baked(tmp_path: Path) -> None:
    wanted = replace(order("app"), labels={"bakery-architecture": "riscv64"})
    with pytest.raises(BakeFailed, match="this computer has no machines for riscv64"):
        oven.LocalOven(parse({}, "test", tmp_path)).bake(wanted, Activity())


def test_an_image_for_arm_is_baked_in_an_emulated_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(tmp_path, monkeypatch)
    labels = {"bakery-architecture": "arm64"}
    arm = replace(both.job, order=replace(both.job.order, labels=labels), hardware=ARM)
    assert both.oven._baked(arm) == Path("machine")
    assert "in a machine: no container: the image is for arm64" in both.log.read_text()
    monkeypatch.setattr(oven, "_boot_files", lambda _job: BootFiles(Path("vmlinuz"), Path("initrd"), "root=LABEL=x"))
    monkeypatch.setattr(both.oven, "local", both.oven.local._replace(accelerator=Accelerator.KVM))
    builder = both.oven._machine(arm).builder
    arguments = dict(builder["qemuargs"])
    assert builder["qemu_binary"] == "qemu-system-aarch64"
    assert arguments["-machine"] == "virt,accel=tcg,gic-version=3"  # KVM is for this computer's own processors
    assert "console=ttyAMA0" in arguments["-append"] and "tsc=" not in arguments["-append"]
