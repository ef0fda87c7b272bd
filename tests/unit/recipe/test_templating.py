from __future__ import annotations

import pytest

from bakery.recipe.expressions import fill
from bakery.recipe.substitutions import dynamic, substitute
from bakery.recipe.templating import only_reference, packer_arguments, passed, references, resolve


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$_A", "1"),
        ("${_A}x", "1x"),
        ("$_AB", "$_AB"),
        ("${_A}$_B", "12"),
        ("$PROJECT_ID", "$PROJECT_ID"),
        ("no $ at all", "no $ at all"),
        ("$$_A", "$$_A"),
        ("$${_A}", "$${_A}"),
        ("$lower", "$lower"),
    ],
)
def test_substitutions_as_cloud_build_reads_them(text: str, found: str) -> None:
    assert substitute(text, {"_A": "1", "_B": "2"}) == found


def test_the_last_pass_makes_one_dollar_of_two() -> None:
    assert substitute("$$_A $_A", {"_A": "1"}, last=True) == "$_A 1"


def test_dynamic_substitutions_hold_others_and_loops_end() -> None:
    build = {"options": {"dynamicSubstitutions": True}}
    assert dynamic(build, {"_A": "${_B}!", "_B": "x"}) == {"_A": "x!", "_B": "x"}
    assert dynamic(build, {"_A": "$_B", "_B": "$_A"}).keys() == {"_A", "_B"}
    assert dynamic({}, {"_A": "$_B", "_B": "x"}) == {"_A": "$_B", "_B": "x"}


def test_references_are_found_inside_of_expressions() -> None:
    value = [{"a": "{{user `one`}}", "b": ['x {{ user "two" }} {{user `three` | upper}}']}, "{{.Path}} user `no`"]
    assert references(value) == {"one", "two", "three"}


def test_only_reference_is_the_whole_value() -> None:
    assert only_reference(" {{user `a`}} ") == "a"
    assert only_reference("{{user `a`}}{{timestamp}}") == ""
    assert only_reference(20) == ""


def test_variables_may_hold_variables() -> None:
    assert resolve({"a": "{{user `b`}}/x", "b": "y"}) == {"a": "y/x", "b": "y"}
    assert fill("{{user `unknown`}}", {}) == "{{user `unknown`}}"


@pytest.mark.parametrize(
    "step",
    [
        {"args": ["build", "-force", "-var", "a=$_A", "-var", "b=x=y", "packer.json"]},
        {"args": ["build", "-var=a=$_A", "-var=b=x=y", "p/packer.json"]},
        {"entrypoint": "bash", "args": ["-c", "packer build -var 'a=$_A' -var b=x=y packer.json"]},
        {"script": "#!/bin/sh\npacker build \\\n  -var a=$_A -var b=x=y packer.json\n"},
    ],
)
def test_packer_arguments_in_all_their_forms(step: object) -> None:
    other = {"name": "bash", "args": ["-c", "echo -var c=no"]}
    assert packer_arguments({"steps": [other, step]}) == {"a": "$_A", "b": "x=y"}


@pytest.mark.parametrize("build", [{}, [], None, {"steps": None}, {"steps": ["x"]}, {"steps": [{"args": None}]}])
def test_a_build_without_packer_has_no_arguments(build: object) -> None:
    assert packer_arguments(build) == {}


def test_what_a_bake_sets() -> None:
    arguments = {"a": "${_A}", "b": "${_GONE}", "c": "x-${_C}", "undeclared": "1"}
    declared_ = {"a": "", "b": "default", "c": "", "d": "", "e": ""}
    direct = {"_C": "2", "_D": "3", "_NOBODY": "4"}
    assert passed(arguments, {"_A": "1", "_C": "2"}, declared_, direct) == {"a": "1", "c": "x-2", "d": "3"}
