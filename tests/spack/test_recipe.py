"""The recipe of the Spack test, looked at without a Spack: it must not rot between two runs of the long test."""

from __future__ import annotations

from pathlib import Path

from bakery.recipe.load import load
from tests.spack import shelf


def test_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    folder = shelf.checkout(tmp_path, 1)
    found = load(folder / "packages", folder / "common")
    assert [str(problem) for problem in found.problems] == []
    assert [recipe.name for recipe in found.recipes] == ["bzip2", "rcc-debian"]
