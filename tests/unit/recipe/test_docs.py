"""The example of docs/recipe.md loads, and the published schemas take what the loader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bakery.recipe.check import fluidrun
from tests.support import recipe_tree
from tests.support.root import ROOT

SCHEMAS = ROOT / "bakery/recipe/schemas"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def example() -> str:
    match = re.search(r"```yaml\n(# yaml-language-server.*?)```", (ROOT / "docs/recipe.md").read_text(), re.DOTALL)
    assert match
    return match[1]


def test_the_example_loads(tmp_path: Path) -> None:
    recipe = recipe_tree.recipe(tmp_path, {"recipe.yaml": example(), "test/prolog.sh": "#!/bin/sh\n"})
    names = [variant.name for variant in recipe.variants]
    assert names == ["gcc-12-zen3", "gcc-12-cascadelake", "oneapi-cascadelake", "aocc-zen3"]
    assert recipe.variants[2].substitutions["_IMAGE_FAMILY"] == "app-intel"


def test_the_example_uses_every_key_of_the_schema() -> None:
    schema = json.loads((SCHEMAS / "recipe.schema.json").read_text())
    matrix = schema["properties"]["matrix"]["properties"]
    words = set(re.findall(r"\b[A-Za-z_]+(?=:)", example()))
    assert set(schema["properties"]) | set(matrix) <= words


@pytest.mark.parametrize("package", sorted(path.parent.name for path in ROOT.glob("packages/*/fluidrun.yaml")))
def test_our_suites_are_right_by_the_schema(package: str) -> None:
    content = yaml.safe_load((ROOT / "packages" / package / "fluidrun.yaml").read_text())
    assert [error.message for error in validator("fluidrun").iter_errors(content)] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attempts", 0),
        ("attempts", "2"),
        ("time_limit", "soon"),
        ("output_directory", "../x"),
        ("output_directory", "/x"),
        ("command_group", 3),
        ("metrics", [{"name": "a"}]),
        ("metrics", [{"name": "a", "pattern": "(a)", "lower": 0.5}]),
        ("metrics", [{"name": "a", "pattern": "(a)", "upper": -0.5}]),
        ("metrics", [{"name": "a", "pattern": "(a)", "reference": "x"}]),
    ],
)
def test_schema_and_loader_refuse_the_same(tmp_path: Path, key: str, value: Any) -> None:
    content = yaml.safe_load(recipe_tree.SUITE)
    assert list(validator("fluidrun").iter_errors(content)) == []
    content["tests"][0][key] = value
    assert list(validator("fluidrun").iter_errors(content))
    problems = recipe_tree.spoilt(tmp_path, {"fluidrun.yaml": yaml.safe_dump(content)})
    assert any(problem.severity == "error" for problem in problems)


def test_the_schema_knows_every_field() -> None:
    job = validator("fluidrun").schema["properties"]["tests"]["items"]["properties"]
    assert set(job) == fluidrun.JOB
    assert set(job["metrics"]["items"]["properties"]) == fluidrun.METRIC
