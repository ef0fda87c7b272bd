"""Options that a plugin does not know are said with file and line, in both languages, also in blocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Problem
from tests.support import hcl2_tree, recipe_tree

OF_GOOGLE = "in version 1.2.5 of its plugin: Packer refuses the template"


def in_source(root: Path, text: str) -> tuple[tuple[Problem, ...], int]:
    """The problems of a source with this text in it, and its line."""
    source = hcl2_tree.SOURCE.replace('"app" {\n', f'"app" {{\n  {text}\n', 1)
    line = source.split(text, maxsplit=1)[0].count("\n") + 1
    return hcl2_tree.problems(root, {"app.pkr.hcl": source + hcl2_tree.BUILD}), line


@pytest.mark.parametrize(
    ("text", "below", "message", "hint"),
    [
        ("machine_typ = 1", 0, f"googlecompute has no option machine_typ {OF_GOOGLE}", "write machine_type, or"),
        ("disk_attachments {}", 0, f"has no option disk_attachments {OF_GOOGLE}", "write disk_attachment, or"),
        ("q = 1", 0, f"googlecompute has no option q {OF_GOOGLE}", "remove it, or see the reference"),
        (
            "disk_attachment {\n    volume_typ = 1\n  }",
            1,
            f"googlecompute disk_attachment has no option volume_typ {OF_GOOGLE}",
            "write volume_type, or",
        ),
        (
            "disk_attachment {\n    disk_encryption_key {\n      kmsKey = 1\n    }\n  }",
            2,
            f"googlecompute disk_attachment disk_encryption_key has no option kmsKey {OF_GOOGLE}",
            "write kmsKeyName, or",
        ),
        ("node_affinity {\n    value = []\n  }", 1, "googlecompute node_affinity has no option value", "write values"),
        ("disk_attachment = [{}]", 0, "disk_attachment is a block: Packer refuses = after it", "write disk_attach"),
        ("metadata {\n    a = 1\n  }", 0, "metadata is not a block: Packer wants = after it", "write metadata = {"),
        ("tags {\n  }", 0, "tags is not a block", "write tags = {"),
    ],
)
def test_an_option_of_a_source_that_the_plugin_does_not_know(
    tmp_path: Path, text: str, below: int, message: str, hint: str
) -> None:
    (problem,), line = in_source(tmp_path, text)
    assert (problem.severity, problem.line) == ("warning", line + below)
    assert message in problem.message
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    "text",
    [
        "disk_size = 30",
        "labels = null",
        'dynamic "disk_attachment" {\n  for_each = [1]\n  content {\n    volume_size = 1\n  }\n}',
        'labels = jsondecode(env("X"))',
    ],
)
def test_an_option_that_the_plugin_knows(tmp_path: Path, text: str) -> None:
    assert in_source(tmp_path, text)[0] == ()


def test_options_of_a_qemu_source_and_of_provisioners(tmp_path: Path) -> None:
    text = """source "qemu" "app" {
  disk_sizes = "1G"
  qemu_img_args {
    converts = []
  }
}
build {
  sources = ["source.qemu.app"]
  provisioner "shell" {
    inlin = ["true"]
    inline = ["true"]
  }
}
"""
    files: dict[str, str | bytes | None] = {"app.pkr.hcl": text, "variables.pkr.hcl": None, "cloudbuild.yaml": None}
    found = {(one.line, one.message.partition(":")[0]) for one in hcl2_tree.problems(tmp_path, files)}
    assert {
        (2, "qemu has no option disk_sizes in its plugin"),
        (4, "qemu qemu_img_args has no option converts in its plugin"),
        (10, "shell has no option inlin in Packer"),
    } <= found


def edited(**builder: Any) -> dict[str, str]:
    made = recipe_tree.template()
    made["builders"][0] |= builder
    made["provisioners"][2] |= {"override": {"googlecompute": {"scripts": ["x"], "skip_cleanup": True}}}
    return {"packer.json": json.dumps(made, indent=2)}


def test_options_of_a_json_template(tmp_path: Path) -> None:
    found = recipe_tree.spoilt(tmp_path, edited(machine_typ="x", disk_attachment=[{"size": 1}], name="googlecompute"))
    said = [one.message.partition(" in ")[0] for one in found if "has no option" in one.message]
    assert said == [
        "googlecompute has no option machine_typ",
        "googlecompute disk_attachment has no option size",
        "shell has no option skip_cleanup",
    ]
    lines = (tmp_path / "packages/app/packer.json").read_text().splitlines()
    assert ["machine_typ" in lines[one.line - 1] for one in found if "machine_typ" in one.message] == [True]


@pytest.mark.parametrize("name", ["labels", "image_labels", "metadata", "metadata_files"])
def test_a_mapping_of_another_type_is_an_error(tmp_path: Path, name: str) -> None:
    found = recipe_tree.spoilt(tmp_path, edited(**{name: ["x"]}))
    assert f"{name} is ['x']" in [one.message for one in found if one.severity == "error"]


def in_capitals(value: Any) -> Any:
    return {key if key == "type" else key.upper(): entry for key, entry in value.items()}


def test_options_may_be_in_capitals_and_count_as_the_others(tmp_path: Path) -> None:
    made = recipe_tree.template()
    large = made | {"builders": [in_capitals(one) for one in made["builders"]]}
    large["provisioners"] = [in_capitals(one) for one in made["provisioners"]]
    small, found = (recipe_tree.recipe(tmp_path, {"packer.json": json.dumps(one)}) for one in (made, large))
    assert json.dumps(large) != json.dumps(made)
    assert (found.template, found.problems) == (small.template, small.problems)


def test_a_problem_below_a_key_in_capitals_has_its_line(tmp_path: Path) -> None:
    made = recipe_tree.template()
    made["provisioners"][-1] = {"type": "shell", "SCRIPTS": ["packages/app/nowhere.sh"], "only": ["googlecompute"]}
    text = json.dumps(made, indent=2)
    (problem,) = [one for one in recipe_tree.spoilt(tmp_path, {"packer.json": text}) if "nowhere" in one.message]
    assert "nowhere.sh" in text.splitlines()[problem.line - 1]


def test_an_option_that_is_there_twice_or_is_packers_own_is_unknown_in_capitals(tmp_path: Path) -> None:
    made = recipe_tree.template()
    made["provisioners"][2] |= {"Inline": ["true"], "inline": ["true"], "script": "", "Pause_Before": "1s"}
    found = [one.message for one in recipe_tree.spoilt(tmp_path, {"packer.json": json.dumps(made)})]
    assert [
        name for name in ("Inline", "Pause_Before") if f"shell has no option {name} in Packer" in "".join(found)
    ] == [
        "Inline",
        "Pause_Before",
    ]
