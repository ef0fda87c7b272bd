"""A checkout of FluidNumerics/rcc-apps loads unmodified: set RCC_APPS=<folder> to run this."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakery.recipe.load import load

CHECKOUT = Path(os.environ.get("RCC_APPS", ""))


@pytest.mark.skipif("RCC_APPS" not in os.environ, reason="RCC_APPS names no checkout of rcc-apps")
def test_rcc_apps_loads_unmodified() -> None:
    recipes = load(CHECKOUT, CHECKOUT / "common")
    assert {recipe.name for recipe in recipes.recipes} == {path.parent.name for path in CHECKOUT.glob("*/packer.json")}
    errors = [problem for problem in recipes.problems if problem.severity == "error"]
    # Licensed sources that everyone has to put there: Packer could not start.
    assert [(Path(problem.file).parent.name, "AmberDownloads" in problem.message) for problem in errors] == [
        ("amber", True)
    ]
    text = "\n".join(str(problem) for problem in recipes.problems)
    for part in ("fluidci.yaml", "duplicate key", "concretization", "needs SYSTEM_COMPILER", "names another package"):
        assert part in text
    openfoam = next(recipe for recipe in recipes.recipes if recipe.name == "openfoam")
    assert openfoam.suite is not None
    assert len(openfoam.suite.jobs) == 6
    assert "c2-standard-60-compact" in {partition.name for partition in openfoam.suite.cluster.partitions}
