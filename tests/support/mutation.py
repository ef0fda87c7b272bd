"""Spoils recipe files at random, from a seed: what editors, merges and bad copies do, and worse."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bakery.errors import Severity
from bakery.lock.model import Lock
from bakery.plan.plan import draft
from bakery.preview.decide import decide
from bakery.preview.plan_report import PlanReport
from bakery.report.plan import to_json
from bakery.report.plan_markdown import render
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree
from tests.unit.recipe.test_load import MATRIX

TFVARS = 'login_node_count = 0\npartitions = [\n  { name = "debug", zone = "<zone>" }\n]\n'
FILES = {**recipe_tree.files(), "recipe.yaml": MATRIX, "test/rcc.auto.tfvars": TFVARS}
MORE = """variable "names" {
  type    = list(object({ name = string, size = optional(number, 3) }))
  default = [{ name = "a" }]
  validation {
    condition     = length(var.names) > 0 && can(regex("^[a-z]+$", var.names[0].name))
    error_message = "Write names."
  }
}
data "http" "x" {
  url = "https://example.org/${var.compiler}"
}
locals {
  text = <<-EOT
    #!/bin/bash
    %{ for one in var.names ~}
    echo ${one.name} ${one.size + 1}
    %{ endfor ~}
  EOT
  late = upper("${timestamp()}-${data.http.x.body}")
  sums = { for key, one in var.names : one.name => format("%s-%d", var.target_arch, key)... if one.size != null }
  read = { for one in fileset(".", "*.sh") : one => file(one) }
  more = try(merge(local.sums, { x = var.install_root == "/opt" ? 1 : null }), [])[*]
}
build {
  name = "more"
  source "googlecompute.app" {
    disk_size         = 20
    image_description = local.late
  }
  provisioner "shell" {
    only     = ["googlecompute.app"]
    inline   = concat([local.text, jsonencode(local.sums)], split(",", "a,b"))
    override = { app = { inline = [build.ID, source.name, path.root] } }
  }
  post-processor "manifest" {}
}
"""
JSON2 = {"variable": {"more": {"type": "string", "default": "x"}}, "locals": {"other": "${upper(var.more)}"}}
HCL2 = {
    **hcl2_tree.files(),
    "a.auto.pkrvars.hcl": 'compiler = "clang"\nnames    = [{ name = "b", size = 1 }]\n',
    "more.pkr.hcl": MORE,
    "other.pkr.json": json.dumps(JSON2, indent=2),
}
F, B = "fluidrun.yaml", "cloudbuild.yaml"
TARGETS = [path for path in FILES if not path.endswith(".sh")]
HCL2_TARGETS = [path for path in HCL2 if ".pkr" in path or path == B]
PIECES = (
    "{", "}", "[", "]", '"', "'", ":", ",", "\n", "\t", "\0", "&a", "*a", "<<: *a", "!!x", "- ", "null", "1e999", "{{",
    "..", "/", "$", "${_", "@X@", "-1", "true", "\ufeff", "\udc80", "é", "\u2028", "{{user `x`}}", "? ", "| ", "#", "~",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", " ", "x" * 300, "../..", "/etc/passwd", "$_X", "{{user `image_name`}}", "é\n",
    "\0", [], {}, [None], [[]], [{}], {"": ""}, {"a": None}, {"type": 3}, ["x", 1], [{"type": "shell", "script": []}],
)  # fmt: skip


def mutated(seed: int, hcl2: bool = False) -> tuple[str, bytes]:
    """A file and its spoilt content: every third one is well written and holds something else than it should."""
    chance = random.Random(seed)
    files = HCL2 if hcl2 else FILES
    path = chance.choice(HCL2_TARGETS if hcl2 else TARGETS)
    text = files[path]
    if seed % 3 == 0 and (path.endswith(".json") or path in (F, B, "recipe.yaml")):
        return path, retyped(path, text, chance).encode()
    for _ in range(chance.randint(1, 4)):
        text = chance.choice((cut, insert, replace, double_line, drop_line, swap))(text, chance, files)
    content = text.encode("utf-8", "surrogateescape")
    if chance.random() < 0.1:
        at = chance.randrange(len(content) + 1)
        content = content[:at] + bytes(chance.randrange(256) for _ in range(3)) + content[at:]
    return path, content


def retyped(path: str, text: str, chance: random.Random) -> str:
    """The file with some of its values changed into any other, renamed or taken away."""
    value = deepcopy(_parsed(text))
    for _ in range(chance.randint(1, 3)):
        places = list(_places(value))
        if not places:
            break
        held, key = chance.choice(places)
        change = chance.random()
        if change < 0.7:
            held[key] = deepcopy(chance.choice(VALUES))
        elif change < 0.85:
            del held[key]
        elif isinstance(held, dict):
            name = chance.choice(PIECES)
            written = (
                name if path.endswith(".json") else name.encode(errors="replace").decode()
            )  # YAML has no half of a pair
            held[written] = held.pop(key)
        else:
            held.insert(0, deepcopy(held[key]))
    if path.endswith(".json"):
        return json.dumps(value, indent=2)
    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)


@cache
def _parsed(text: str) -> Any:
    return yaml.safe_load(text)  # JSON is YAML, too


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every mapping or list in a value with each of its keys."""
    for key, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(held)


def cut(text: str, chance: random.Random, _: Mapping[str, str]) -> str:
    begin, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    return text[:begin] + text[min(end, begin + 40) :]


def insert(text: str, chance: random.Random, _: Mapping[str, str]) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 90)) + text[at:]


def replace(text: str, chance: random.Random, _: Mapping[str, str]) -> str:
    words = text.split() or [text]
    word = chance.choice(words)
    return text.replace(word, chance.choice((*PIECES, *words)), 1)


def double_line(text: str, chance: random.Random, _: Mapping[str, str]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = chance.randrange(len(lines))
    return "".join([*lines[: at + 1], *lines[at:]])


def drop_line(text: str, chance: random.Random, _: Mapping[str, str]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def swap(text: str, chance: random.Random, files: Mapping[str, str]) -> str:
    other = files[chance.choice([path for path in files if not path.endswith(".sh")])]
    at = chance.randrange(len(text) + 1)
    return text[:at] + other[chance.randrange(len(other)) :][:60]


def survive(root: Path, path: str, content: bytes, files: Mapping[str, str] = FILES) -> int:
    """Load and plan the package with this file; returns how many problems there are, each with file and line."""
    file = root / "packages" / recipe_tree.NAME / path
    file.write_bytes(content)
    recipes = recipe_tree.loaded(root)
    plan = draft(parse({"oven": "fake"}, "test", root), recipes, Lock(), locked=False)
    comment = render(to_json(PlanReport(decide(plan.images, (), {}), plan.problems)))
    assert len(comment.encode()) < 65_536
    lines = max(content.count(b"\n"), content.count(b"\r")) + content.count("\u2028".encode()) + 2
    for problem in (*recipes.problems, *plan.problems):
        assert problem.file
        assert problem.message
        assert problem.hint
        assert 1 <= problem.line <= (lines if problem.file.endswith(path) else 10_000)
        assert "\n" not in str(problem)
    assert recipes.recipes or any(problem.severity is Severity.ERROR for problem in recipes.problems)
    file.write_bytes(files[path].encode())
    return len(recipes.problems)
