"""What a recipe downloads from the machine that bakes is kept beside the image, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.ovens.local import downloads
from bakery.plan.template import downloaded_paths
from bakery.recipe.load import load
from tests.support import source_tree

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
    downloads.keep(TEMPLATE, VARIABLES, tmp_path / "workspace", tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["spack.lock"]


def test_what_an_earlier_bake_left_goes(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/spack.lock").touch()
    downloads.keep({}, {}, tmp_path, tmp_path / "kept")
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
