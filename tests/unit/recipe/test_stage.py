from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, InputError
from bakery.recipe.stage import check_sources, stage
from tests.support.bake_orders import source


def test_files_keep_path_content_and_mode(tmp_path: Path):
    files = [source(tmp_path, "packages/a/install.sh", "echo a\n", 0o755), source(tmp_path, "common/x", "x")]
    stage(files, tmp_path / "workspace")
    script = tmp_path / "workspace" / "packages" / "a" / "install.sh"
    assert script.read_text() == "echo a\n" and script.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "workspace" / "common" / "x").stat().st_mode & 0o777 == 0o644


def test_every_file_that_changed_or_went_is_named(tmp_path: Path):
    files = [source(tmp_path, name, name) for name in ("same", "changed", "gone")]
    files[1].source.write_text("other")
    files[2].source.unlink()
    for call in (check_sources, lambda found: stage(found, tmp_path / "workspace")):
        with pytest.raises(InputError) as caught:
            call(files)
        assert [problem.file for problem in caught.value.problems] == ["changed", "gone"]


def test_a_workspace_that_cannot_be_written_is_not_the_recipes_fault(tmp_path: Path):
    files = [source(tmp_path, "a", "a")]
    (tmp_path / "workspace").touch()
    with pytest.raises(InfrastructureFailed, match="cannot write"):
        stage(files, tmp_path / "workspace")
