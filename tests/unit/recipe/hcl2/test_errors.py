"""What is wrong in an HCL2 template: every problem with its file and line, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import Severity
from bakery.lock.model import Lock
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

BUILD = 'build {\n  sources = ["source.googlecompute.app"]\n%s}\n'
STEP = 'provisioner "shell" {\n %s\n}\n'
CASES = [
    ("banana {}\n", 1, "unknown block banana"),
    ("x = 1\n", 1, "an attribute x outside of a block"),
    ('source "a" {}\n', 1, "source has 1 labels instead of 2"),
    ('variable "a" {\n what = 1\n}\n', 2, "variable has no attribute what"),
    ('variable "a" {\n what {}\n}\n', 2, "unknown block what in variable"),
    ('variable "a b" {}\n', 1, "variable a b has an invalid name"),
    ('variable "compiler" {}\n', None, "duplicate variable compiler"),
    ('variable "a" {\n type = text\n}\n', 2, "text is not a type"),
    ('variable "a" {\n type = number\n default = "x"\n}\n', 1, '"x" is not a number'),
    ('variable "a" {\n default = var.compiler\n}\n', 2, "var.compiler is an undeclared variable"),
    ('variable "a" {}\nlocals {\n b = var.a\n}\n', 1, "variable a has no value"),
    (
        'variable "a" {\n default = "x"\n validation {\n  condition = var.a == "y"\n  error_message = "No."\n }\n}\n',
        3,
        "variable a has an invalid value: No.",
    ),
    ("locals {\n a = 1\n}\nlocals {\n a = 2\n}\n", 5, "duplicate local a"),
    ('local "a" {}\n', 1, "local a has no expression"),
    ('source "googlecompute" "app" {}\n', None, "duplicate source googlecompute.app"),
    ('data "http" "x" {}\ndata "http" "x" {}\n', 2, "duplicate data source http.x"),
]
IN_BUILD = [
    ("banana {}\n", "unknown block banana in build"),
    ("what = 1\n", "build has no attribute what"),
    ('provisioner "a" "b" {}\n', "provisioner has 2 labels"),
    ("dynamic {}\n", "dynamic has 0 labels"),
    ('dynamic "provisioner" {}\n', "dynamic needs for_each and content"),
    ('dynamic "provisioner" {\n for_each = 1\n content {}\n}\n', "for_each is not a collection"),
    ('dynamic "provisioner" {\n for_each = timestamp()\n content {}\n}\n', "for_each is only known in the bake"),
    (STEP % "inline = [var.none]", "var.none is an undeclared variable"),
    (STEP % "inline = [local.none]", "there is no local.none"),
    (STEP % "inline = [none(1)]", "there is no function none"),
    (STEP % "inline = [each.value]", "unknown name each.value"),
    (STEP % 'script = "none.sh"', "script 'none.sh' does not exist"),
    (STEP % 'script = "/etc/passwd"', "script '/etc/passwd' is outside the package and common"),
    (STEP % "script = 3", "script is 3"),
    (STEP % 'inline = ["{{user `x`}}"]', "HCL2 does not know {{user}}"),
]
NAMES = [
    ("inline", "unknown name inline"),
    ("[1]", "a list or an object in a string"),
    ("null", "null in a string"),
    ("upper(1, 2, 3)", "3 arguments for a function that takes 1"),
    ("var.none", "var.none is an undeclared variable"),
]
NO_SOURCE = [
    ("", "has no build block"),
    ("build {}\n", "build has no source"),
    ('build {\n sources = ["source.googlecompute.none"]\n}\n', "there is no source source.googlecompute.none"),
    ('build {\n sources = "x"\n}\n', "sources is not a list"),
    (
        'source "azure-arm" "x" {}\nbuild {\n sources = ["azure-arm.x"]\n}\n',
        "has no googlecompute or qemu source; it has azure-arm.x",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), CASES)
def test_declarations(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    found = [one for one in hcl2_tree.problems(tmp_path, {"b.pkr.hcl": text}) if message in one.message]
    assert len(found) == 1
    assert found[0].severity == "error"
    if line is not None:
        assert found[0].file.endswith("packages/app/b.pkr.hcl")
        assert found[0].line == line


@pytest.mark.parametrize(("text", "message"), IN_BUILD)
def test_builds(tmp_path: Path, text: str, message: str) -> None:
    given = {"app.pkr.hcl": hcl2_tree.SOURCE, "build.pkr.hcl": BUILD % text}
    found = [one for one in hcl2_tree.problems(tmp_path, given) if message in one.message]
    assert len(found) == 1
    assert found[0].severity == "error"
    assert found[0].file.endswith("packages/app/build.pkr.hcl")
    assert found[0].line in (3, 4)


@pytest.mark.parametrize(("text", "message"), NO_SOURCE)
def test_a_template_without_a_source_that_can_be_baked_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    given = {"app.pkr.hcl": hcl2_tree.SOURCE, "build.pkr.hcl": text or "locals {}\n"}
    errors = [one for one in hcl2_tree.problems(tmp_path, given) if one.severity == "error"]
    assert [one.message for one in errors] == [message]


def test_an_error_in_a_local_names_the_file_of_the_local(tmp_path: Path) -> None:
    given = {
        "app.pkr.hcl": hcl2_tree.SOURCE,
        "build.pkr.hcl": BUILD % (STEP % "inline = [local.a]"),
        "locals.pkr.hcl": "locals {\n a = local.b\n b = local.a\n}\n",
    }
    errors = [one for one in hcl2_tree.problems(tmp_path, given) if one.severity == "error"]
    assert [(one.file.rpartition("/")[2], one.line, one.message) for one in errors] == [
        ("locals.pkr.hcl", 2, "local.a refers to itself")
    ]


def test_a_long_chain_of_locals_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    chain = "".join(f" a{number} = local.a{number + 1}\n" for number in range(2000))
    given = {
        "app.pkr.hcl": hcl2_tree.SOURCE,
        "build.pkr.hcl": BUILD % (STEP % "inline = [local.a0]"),
        "locals.pkr.hcl": f"locals {{\n{chain} a2000 = 1\n}}\n",
    }
    errors = [one for one in hcl2_tree.problems(tmp_path, given) if one.severity == "error"]
    assert [one.message for one in errors] == ["values refer to each other too often"]


def test_a_file_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    large = "# x\n" * 80_000
    assert "is too large" in {one.message for one in hcl2_tree.problems(tmp_path, {"z.pkr.hcl": large})}


def test_variables_that_nothing_uses_are_a_warning(tmp_path: Path) -> None:
    declared = hcl2_tree.DECLARED + 'variable "idle" {\n default = ""\n}\n'
    (found,) = hcl2_tree.problems(tmp_path, {"variables.pkr.hcl": declared})
    assert (found.severity, found.message) == ("warning", "variable idle is not used")
    assert found.line == declared.splitlines().index('variable "idle" {') + 1


def test_packer_json_wins_over_hcl2_beside_it(tmp_path: Path) -> None:
    from tests.support import recipe_tree

    recipe = recipe_tree.recipe(tmp_path, {"x.pkr.hcl": "not parsed"})
    assert "hcl2" not in recipe.template


def test_what_cannot_be_evaluated_is_said_without_what_follows_from_it(tmp_path: Path) -> None:
    text = 'variable "name" {}\nvariable "os" {\n default = null\n}\n' + hcl2_tree.SOURCE.replace(
        "= var.image_family\n", '= "${var.name}-${var.os}"\n'
    )
    given = {"app.pkr.hcl": text + BUILD % "", "cloudbuild.yaml": None, "fluidrun.yaml": None, "env/spack.yaml": None}
    recipe_tree.write(tmp_path, hcl2_tree.changed(given))
    plan = draft(parse({"oven": "fake"}, "test", tmp_path), recipe_tree.loaded(tmp_path), Lock(), locked=False)
    said = [problem for problem in plan.problems if problem.severity is Severity.ERROR]
    assert [one.message for one in said] == ["variable name has no value", "var.os is null, in a string"]
    assert "*.auto.pkrvars.hcl" in said[0].hint


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_the_name_of_a_build(tmp_path: Path, name: str, message: str) -> None:
    text = BUILD % f"name = {name}\n"
    found = [one for one in hcl2_tree.problems(tmp_path, {"b.pkr.hcl": text}) if message in one.message]
    assert [(one.severity, one.file.rpartition("/")[2]) for one in found] == [("error", "b.pkr.hcl")]
    assert found[0].line in (1, 3)


WRONG = [
    ('type = number\n default = "x"', 'inline = ["${var.a + 1}"]', '"x" is not a number'),
    ('type = bool\n default = "x"', "inline = var.a ? [] : [1]", '"x" is not true or false'),
    ('type = list(string)\n default = "x"', "inline = [for x in var.a : x]", '"x" does not fit the type list'),
    ('type = list(string)\n default = "x"', "inline = var.a", '"x" does not fit the type list'),
    ("type = map(string)\n default = [1]", "inline = [var.a.b]", "a list does not fit the type map"),
    ("default = var.b", "inline = [upper(var.a)]", "var.b is an undeclared variable"),
    ('default = upper("x")', "inline = [upper(var.a)]", "upper() in a value of a variable"),
    ("default = [path.root]", "inline = [upper(var.a)]", "path in a value of a variable"),
    ('type = list\n default = ["x"]', "inline = var.a", "list has no type of its elements"),
]
EACH = 'dynamic "provisioner" {\n labels = ["shell"]\n for_each = var.a\n content {\n %s\n }\n}\n'


@pytest.mark.parametrize(("declared", "used", "message"), WRONG)
@pytest.mark.parametrize("block", [STEP, EACH])
def test_a_wrong_default_is_one_error(tmp_path: Path, declared: str, used: str, message: str, block: str) -> None:
    text = f'variable "a" {{\n {declared}\n}}\n' + BUILD % (block % used)
    found = hcl2_tree.problems(tmp_path, {"app.pkr.hcl": hcl2_tree.SOURCE, "b.pkr.hcl": text})
    (error,) = [one for one in found if one.severity == "error"]
    assert message in error.message
    assert not [one for one in found if "only known in the bake" in one.message]


def test_a_wrong_list_of_sources_is_one_error(tmp_path: Path) -> None:
    text = 'variable "a" {\n type = list(string)\n default = "x"\n}\nbuild {\n sources = var.a\n}\n'
    found = hcl2_tree.problems(tmp_path, {"app.pkr.hcl": hcl2_tree.SOURCE, "b.pkr.hcl": text})
    assert len([one for one in found if one.severity == "error"]) == 1
