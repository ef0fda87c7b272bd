"""A thousand spoilt recipe files: never a traceback, always file and line."""

from __future__ import annotations

from pathlib import Path

from tests.support import recipe_tree
from tests.support.mutation import FILES, HCL2, HCL2_TARGETS, TARGETS, mutated, survive

SEEDS = 1000


def test_a_thousand_spoilt_files(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, FILES)
    spoilt = [mutated(seed) for seed in range(SEEDS)]
    reported = sum(bool(survive(tmp_path, path, content)) for path, content in spoilt)
    assert {path for path, _ in spoilt} == set(TARGETS)
    assert reported > SEEDS / 2  # the rest changed words that may be anything


def test_spoilt_files_of_hcl2(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, {"packer.json": None, **HCL2})
    (warning,) = recipe_tree.loaded(tmp_path).problems
    assert "any and optional() in a type" in warning.message
    spoilt = [mutated(seed, hcl2=True) for seed in range(SEEDS // 2)]
    reported = sum(bool(survive(tmp_path, path, content, HCL2)) for path, content in spoilt)
    assert {path for path, _ in spoilt} == set(HCL2_TARGETS)
    assert reported > SEEDS / 4
