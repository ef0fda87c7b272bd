"""What a bake keeps: files that a recipe downloads from the machine, and what is left of a failed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import BakeFailed, InfrastructureFailed
from bakery.ovens.local import oven, scratch
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
    oven.keep_downloads(TEMPLATE, VARIABLES, tmp_path / "workspace", tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["spack.lock"]


def test_what_an_earlier_bake_left_goes(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/spack.lock").touch()
    oven.keep_downloads({}, {}, tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("destination", ["/etc/passwd", "../up", ""])
def test_nothing_is_taken_from_outside_of_the_workspace(destination: str) -> None:
    assert downloaded_paths({"provisioners": [{**LOCK, "destination": destination}]}, {}) == ()


def test_every_package_with_an_environment_brings_its_lock_back() -> None:
    recipes = load(source_tree.ROOT / "packages", source_tree.ROOT / "common").recipes
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
    def get(*_: object) -> None:
        raise InfrastructureFailed(
            "mmdebstrap ended with exit code 25", replay="mmdebstrap /tmp/bakery-base-x/disk.raw"
        )

    monkeypatch.setattr(oven.base_image, "get", get)
    monkeypatch.setattr(oven.packer, "prepare", lambda: None)
    monkeypatch.setattr(oven.process, "find_tool", lambda *_: Path())
    wanted = order("app", (source(tmp_path, "packages/app/install.sh", "true\n", 0o755),))
    with pytest.raises(InfrastructureFailed) as failed:
        oven.LocalOven(parse({}, "test", tmp_path)).bake(wanted, Activity())
    assert failed.value.replay == "bakery bake app --stack test"
