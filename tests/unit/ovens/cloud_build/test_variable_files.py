"""The values of variable files are in the template that Cloud Build is given, as the plan has decided them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.lock.model import Lock
from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import build_request, packer_template
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

SETTINGS = parse({"oven": "fake", "google": {"project": "p", "region": "us-central1"}}, "test", Path("/checkout"))
ZONE = "us-central1-a"
MATRIX = "matrix:\n  axes:\n    compiler: [gcc@12, clang@17]\n"
FILE = "packages/app/v.json"


def template() -> dict[str, Any]:
    """packer.json with a variable that only the file declares."""
    made = recipe_tree.template()
    made["provisioners"].append({"type": "shell", "inline": ["echo {{user `extra`}}"]})
    return made


def values(root: Path, changed: dict[str, str | bytes | None], file: str = FILE) -> list[tuple[dict[str, Any], Any]]:
    """The variables and the words of the step that bakes, for each image."""
    step = {"name": "hashicorp/packer", "args": ["build", "-var-file", file, "packages/app/packer.json"]}
    if "app.pkr.hcl" in changed:
        step["args"][-1] = "packages/app"
    build = {"steps": [step], "substitutions": {"_COMPILER": "gcc@12"}}
    given = {"cloudbuild.yaml": json.dumps(build), "recipe.yaml": MATRIX, "v.json": '{"compiler": "icc", "extra": "x"}'}
    recipe_tree.write(root, {**changed, **given})
    found = []
    for image in draft(SETTINGS, recipe_tree.loaded(root), Lock(), locked=False).images:
        order = bake_order(image)
        made = packer_template(order, SETTINGS.google, ZONE)
        words = build_request(order, SETTINGS.google, ZONE, "x.tar.gz", "session-1")["steps"][-1]["args"]
        found.append((made.get("variables") or made["variable"], words))
    return found


def test_the_value_of_a_variant_wins_over_a_file_in_json(tmp_path: Path) -> None:
    found = values(tmp_path, {"packer.json": json.dumps(template())})
    assert [made["compiler"] for made, _ in found] == ["gcc@12", "clang@17"]
    assert [made["extra"] for made, _ in found] == ["x", "x"]
    assert [words for _, words in found] == [["build", "packages/app/packer.json"]] * 2


def test_the_value_of_a_variant_wins_over_a_file_in_hcl2(tmp_path: Path) -> None:
    found = values(tmp_path, hcl2_tree.changed({}))
    assert [made["compiler"]["default"] for made, _ in found] == ["gcc@12", "clang@17"]
    assert [words for _, words in found] == [["build", "packages/app"]] * 2


@pytest.mark.parametrize("file", ["packages/app/none.json", "packages/app/$BUILD_ID.json"])
def test_a_file_that_the_plan_has_not_read_is_left_to_packer(tmp_path: Path, file: str) -> None:
    found = values(tmp_path, {}, file)
    assert [words[1:3] for _, words in found] == [["-var-file", file]] * 2
