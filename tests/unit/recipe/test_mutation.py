"""A thousand spoilt recipe files: never a traceback, always file and line."""

from __future__ import annotations

from pathlib import Path

from tests.support import recipe_tree
from tests.support.mutation import FILES, TARGETS, mutated, survive

SEEDS = 1000


def test_a_thousand_spoilt_files(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, FILES)
    spoilt = [mutated(seed) for seed in range(SEEDS)]
    reported = sum(bool(survive(tmp_path, path, content)) for path, content in spoilt)
    assert {path for path, _ in spoilt} == set(TARGETS)
    assert reported > SEEDS / 2  # the rest changed words that may be anything
