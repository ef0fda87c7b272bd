"""Small HCL2 templates: their provisioners run for the sources, and with the values, that our reader says.

Every Packer on PATH or in PACKERS builds or validates each: with the builder ``null``, where we read ``googlecompute``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.errors import errors_among
from bakery.recipe.expressions import fill
from bakery.recipe.templating import resolve
from tests.support import recipe_tree
from tests.unit.recipe.hcl2.test_calls_of_packer import environment, version
from tests.unit.recipe.test_packer_rules import MARK, PACKERS

pytestmark = pytest.mark.skipif(not PACKERS, reason="there is no packer")
BODIES = {"null": 'communicator = "none"', "googlecompute": 'source_image = "debian-12"'}


@dataclass(frozen=True)
class Template:
    """A template of one file, with words on the command line; ``since`` is the first Packer that takes it."""

    text: str
    words: Sequence[str] = ()
    since: tuple[int, int] = (1, 6)
    values: str = ""  # of x.auto.pkrvars.hcl


def source(name: str) -> str:
    return f'source "KIND" "{name}" {{\n  BODY\n}}\n'


def say(text: str, more: str = "") -> str:
    return f'provisioner "shell-local" {{\n  {more}\n  inline = ["echo \'{MARK} {text}\'"]\n}}\n'


def built(*steps: str, names: Sequence[str] = ("n",), name: str = "") -> str:
    listed = ", ".join(f'"source.KIND.{one}"' for one in names)
    title = f"name = {name}" if name else ""
    return "".join(map(source, names)) + f"build {{\n  {title}\n  sources = [{listed}]\n{''.join(steps)}}}\n"


def variable(
    content: str, use: str, words: Sequence[str] = (), since: tuple[int, int] = (1, 6), values: str = ""
) -> Template:
    return Template(f'variable "v" {{\n  {content}\n}}\n{built(say(use))}', words, since, values)


BOTH = ("a", "b")
SHOWN = '${replace(jsonencode(var.v), "\\"", "")}'
TWO = built(say("${source.name}"), names=BOTH)
TAKEN = {
    "a list of texts": variable('type = list(string)\n default = [1, true, "a", 1.50]', SHOWN),
    "a set of numbers": variable('type = set(number)\n default = [10, 9, "9"]', SHOWN),
    "a tuple": variable('type = tuple([string, number])\n default = [1, "2"]', SHOWN),
    "an object with more": variable("type = object({ a = string })\n default = { a = 1, b = 2 }", SHOWN),
    "a number with an exponent": variable("type = number", "${var.v + 1}", ["-var", "v=1e3"]),
    "a list of the line": variable("type = list(string)", SHOWN, ["-var", 'v=["a", "b"]']),
    "a list without a type": variable('default = ["q"]', SHOWN, ["-var", 'v=["z"]']),
    "an object without a type": variable('default = { a = "b" }', SHOWN, ["-var", 'v={ a = "c", d = "e" }']),
    "an object without a type in a file": variable('default = { a = "b" }', SHOWN, values='v = { a = "c", d = "e" }'),
    "an empty list without a type": variable("default = []", SHOWN, since=(1, 7), values='v = ["z"]'),
    "a text that looks like a list": variable("", "${length(var.v)}", ["-var", 'v=["z"]']),
    "a number without a type": variable("default = 1", "${var.v + 1}", ["-var", "v=5"]),
    "a null default": variable("type = string\n default = null", '${var.v == null ? "none" : var.v}'),
    "a loop over a map": Template(
        built(
            'dynamic "provisioner" {\n labels = ["shell-local"]\n for_each = { b = "2", a = "1" }\n iterator = it\n'
            f" content {{\n inline = [\"echo '{MARK} ${{it.key}}=${{it.value}}'\"]\n }}\n}}\n"
        )
    ),
    "a loop that a condition leaves out": Template(
        built(
            say("x"),
            'dynamic "provisioner" {\n labels = ["shell-local"]\n for_each = 1 == 2 ? [1] : []\n'
            f" content {{\n inline = [\"echo '{MARK} y'\"]\n }}\n}}\n",
        )
    ),
    "only with a variable": Template(
        'variable "s" {\n default = "a"\n}\n' + built(say("o", 'only = ["KIND.${var.s}"]'), say("z"), names=BOTH)
    ),
    "except with a variable": Template(
        'variable "s" {\n default = "a"\n}\n'
        + built(say("o", 'except = [join(".", ["KIND", var.s])]'), say("z"), names=BOTH)
    ),
    "only of a list": Template(
        'variable "s" {\n type = list(string)\n default = ["KIND.a"]\n}\n' + built(say("o", "only = var.s"), names=BOTH)
    ),
    "only of a longer name": Template(built(say("o", 'only = ["source.KIND.a"]'), say("z"), names=BOTH)),
    "only of a pattern": Template(built(say("o", 'only = ["KIND.*"]'), say("z"), names=BOTH)),
    "only with the name of the build": Template(
        built(say("o", 'only = ["q.KIND.n"]'), say("p", 'only = ["KIND.n"]'), name='"q"')
    ),
    "override by name": Template(
        built(say("o", f"override = {{ a = {{ inline = [\"echo '{MARK} over'\"] }} }}"), names=BOTH)
    ),
    "-only of a pattern": Template(TWO, ["-only=*.a"]),
    "-except of a pattern": Template(TWO, ["-except=*.a"]),
    "-only of choices": Template(TWO, ["-only=*.{a,c}"]),
    "-only of signs": Template(TWO, ["-only=*.[b-c]"]),
    "the name of a build is a variable": Template(
        'variable "b" {\n default = "x"\n}\n' + built(say("${build.name}"), name="var.b"), since=(1, 7)
    ),
    "locals of other locals": Template(
        'locals {\n x = "${local.y}-a"\n}\nlocals {\n y = upper("b")\n}\n' + built(say("${local.x}"))
    ),
    "variables in one block": Template(
        'variables {\n a = 1\n b = ["x", "y"]\n}\n' + built(say("${var.a + 1} ${var.b[1]}"))
    ),
}


def put(root: Path, template: Template, kind: str) -> None:
    text = template.text.replace("KIND", kind).replace("BODY", BODIES[kind])
    recipe_tree.put(root / "packages/app/t.pkr.hcl", text)
    if template.values:
        recipe_tree.put(root / "packages/app/x.auto.pkrvars.hcl", f"{template.values}\n")
    step = {"name": "hashicorp/packer", "args": ["build", *template.words, "packages/app"]}
    recipe_tree.put(root / "packages/app/cloudbuild.yaml", json.dumps({"steps": [step]}))
    (root / "common").mkdir(exist_ok=True)


def run(packer: str, root: Path, command: str, template: Template) -> subprocess.CompletedProcess[str]:
    put(root, template, "null")
    line = [packer, command, *(["-color=false"] if command == "build" else []), *template.words, "packages/app"]
    return subprocess.run(
        line,
        cwd=root,
        env=environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def ours(root: Path, words: Sequence[str]) -> list[list[str]]:
    loaded = recipe_tree.loaded(root)
    assert [str(one) for one in errors_among(loaded.problems)] == []
    (recipe,) = loaded.recipes
    passed = dict(word.split("=", 1) for word in words if not word.startswith("-"))
    made = []
    for template in (recipe.template, *recipe.template["hcl2"].get("others", ())):
        declared = {name: text or "" for name, text in template["variables"].items()}
        variables = resolve({**declared, **passed})
        lines = [fill(text, variables) for step in template["provisioners"] for text in step["inline"]]
        made.append([line.partition(MARK)[2].strip(" '") for line in lines])
    return sorted(filter(None, made))


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("title", TAKEN)
def test_a_build_runs_what_our_reader_says(tmp_path: Path, packer: str, title: str) -> None:
    template = TAKEN[title]
    done = run(packer, tmp_path / "theirs", "build", template)
    assert (done.returncode == 0) is (version(packer) >= template.since), done.stdout
    put(tmp_path / "ours", template, "googlecompute")
    found = ours(tmp_path / "ours", template.words)
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if f": {MARK}" in line:
            title, _, text = line.strip().partition(f": {MARK}")
            said.setdefault(title, []).append(text.strip())
    assert found == sorted(said.values()) or done.returncode, done.stdout


REFUSED = {
    "a function in a default": (variable('default = upper("x")', "x"), "upper() in a value of a variable"),
    "path.root in a default": (variable("default = path.root", "x"), "path in a value of a variable"),
    "a list without a type of its elements": (variable('type = list\n default = ["x"]', "x"), "list has no type"),
    "another type than that of the default": (
        variable("default = 1", "x", ["-var", "v=x"]),
        '"x" is not a number',
    ),
    "more elements than the default": (
        variable('default = ["q"]', "x", ["-var", 'v=["a", "b"]']),
        "a list does not fit the type tuple",
    ),
    "less attributes than the default": (
        variable('default = { a = "b" }', "x", values="v = {}"),
        "attribute a is missing",
    ),
    "a wrong value that nothing uses": (
        Template("locals {\n x = upper(1, 2)\n}\n" + built(say("x"))),
        "2 arguments for a function that takes 1",
    ),
    "only that is a text": (Template(built(say("x", 'only = "KIND.n"'))), "only is 'googlecompute.n'"),
    "override that is a list": (Template(built(say("x", "override = [1]"))), "override is [1]"),
    "lines that are a text": (
        Template(built('provisioner "shell-local" {\n  inline = "true"\n}\n')),
        "inline is 'true'",
    ),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("title", REFUSED)
def test_what_our_reader_refuses_packer_refuses(tmp_path: Path, packer: str, title: str) -> None:
    template, message = REFUSED[title]
    done = run(packer, tmp_path / "theirs", "validate", template)
    assert done.returncode, done.stdout
    put(tmp_path / "ours", template, "googlecompute")
    errors = [str(one) for one in errors_among(recipe_tree.loaded(tmp_path / "ours").problems)]
    assert any(message in one for one in errors), errors
    assert [one for one in errors if ".hcl:" not in one] == []


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", ["any", "list(any)", "object({ a = optional(string) })"])
def test_types_that_packer_refuses_are_warned_of(tmp_path: Path, packer: str, kind: str) -> None:
    template = variable(f"type = {kind}", "x", values="v = null")
    assert run(packer, tmp_path / "theirs", "validate", template).returncode
    put(tmp_path / "ours", template, "googlecompute")
    problems = recipe_tree.loaded(tmp_path / "ours").problems
    assert any("refuse any and optional() in a type" in one.message for one in problems)
    assert errors_among(problems) == ()


IN_BAKE = {
    "only": built(say("x", 'only = ["KIND.${timestamp()}"]')),
    "except": built(say("x", "except = [timestamp()]")),
    "override": built(say("x", "override = jsondecode(timestamp())")),
    "override of the source": built(say("x", "override = { n = jsondecode(timestamp()) }")),
    "name": built(say("x"), name='"of-${timestamp()}"'),
    "name of a source": source("n") + 'build {\n source "source.KIND.n" {\n name = timestamp()\n }\n}\n',
    "for_each": built(
        'dynamic "provisioner" {\n labels = ["shell"]\n for_each = split(",", timestamp())\n content {\n }\n}\n'
    ),
}


@pytest.mark.parametrize("title", IN_BAKE)
def test_what_decides_the_plan_may_not_be_left_to_the_bake(tmp_path: Path, title: str) -> None:
    put(tmp_path, Template(IN_BAKE[title]), "googlecompute")
    found = {one.message for one in errors_among(recipe_tree.loaded(tmp_path).problems)}
    assert found == {f"{title.split(maxsplit=1)[0]} is only known in the bake"}


def test_a_scalar_where_a_list_belongs_is_named(tmp_path: Path) -> None:
    """It stopped the plan: a message tried to show a variable."""
    put(tmp_path, variable('default = "s"', '${join(",", var.v)}'), "googlecompute")
    assert [one.message for one in errors_among(recipe_tree.loaded(tmp_path).problems)] == ["var.v is not a list"]
