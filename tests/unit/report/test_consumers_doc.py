"""The examples of docs/consumers.md are parsed, and use what the bakery really provides."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import yaml

from tests.support.root import ROOT
from tests.support.schemas import published

TEXT = (ROOT / "docs/consumers.md").read_text(encoding="utf-8")
IMAGE = published("image")["properties"]


def block(language: str) -> str:
    """The one example in that language."""
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)
    return str(found)


def test_the_output_images_has_the_fields_that_the_page_names() -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| stack output `images`")]
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == IMAGE.keys() - {"family", "project"}


def test_the_stack_reference_uses_outputs_that_exist() -> None:
    tree = ast.parse(block("python"))
    outputs = [
        call.args[0] for call in ast.walk(tree) if isinstance(call, ast.Call) and attribute(call) == "require_output"
    ]
    assert [ast.literal_eval(output) for output in outputs] == ["images"]
    keys = {ast.literal_eval(one.slice) for one in ast.walk(tree) if isinstance(one, ast.Subscript)}
    assert keys - {"hpcc"} == {"self_link", "tested_at"} <= IMAGE.keys()


def attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def test_the_variables_of_rcc_tf_are_those_of_the_schema() -> None:
    example, schema = json.loads(block("json")), published("tfvars")
    assert example.keys() == {"controller_image", "login_image", "partitions"} <= schema["properties"].keys()
    (partition,) = example["partitions"]
    known: dict[str, Any] = schema["$defs"]["partition"]["properties"]
    assert partition.keys() <= known.keys()


def test_the_blueprint_gives_images_as_cluster_toolkit_takes_them() -> None:
    """With project and one of name and family; modules refer to modules before them."""
    (group,) = yaml.safe_load(block("yaml"))["deployment_groups"]
    seen: set[str] = set()
    for module in group["modules"]:
        assert {*module.get("use", [])} <= seen
        seen.add(module["id"])
    settings = [one["settings"] for one in group["modules"] if "instance_image" in one.get("settings", {})]
    fixed, moving = (one["instance_image"] for one in settings)
    assert fixed.keys() == IMAGE["instance_image"]["properties"].keys()
    assert moving.keys() == {"project", "family"}
    assert [one["instance_image_custom"] for one in settings] == [True, True]
