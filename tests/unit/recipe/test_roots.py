"""Shipped packages: only those that the settings name, overridden by the stack's own, and unknown ones reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bakery.recipe.roots import packages_of
from bakery.settings import Settings, parse
from tests.support import recipe_tree


def settings(root: Path, *shipped: str) -> Settings:
    recipe_tree.recipe(root, {})
    return parse({"shipped": [*shipped]}, "dev", root)


def test_only_named_packages_are_added(tmp_path: Path) -> None:
    packages = packages_of(settings(tmp_path, "hpcc", "rcc-debian"))
    assert [package.name for package in packages.packages] == ["app", "hpcc", "rcc-debian"]
    assert packages.problems == packages_of(replace(settings(tmp_path), shipped=())).problems


def test_a_package_of_the_stack_overrides_a_shipped_one_even_if_it_is_broken(tmp_path: Path) -> None:
    given = settings(tmp_path, "hpcc")
    (tmp_path / "packages" / "hpcc").mkdir()
    (tmp_path / "packages" / "hpcc" / "packer.json").write_text("{")
    packages = packages_of(given)
    assert [package.name for package in packages.packages] == ["app"]
    assert "hpcc" in packages.broken


def test_an_unknown_package_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    (problem,) = [one for one in packages_of(settings(tmp_path, "hpc")).problems if "shipped" in one.message]
    assert (problem.file, problem.severity) == ("Pulumi.dev.yaml", "error")
    assert problem.message == "shipped names an unknown package hpc"
    assert "hpcc" in problem.hint
