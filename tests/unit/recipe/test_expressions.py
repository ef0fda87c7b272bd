from __future__ import annotations

import pytest

from bakery.recipe.expressions import ALL, fill, mentions, only_reference, references, replaced

VALUES = {"tag": "Rel.1", "folder": "packages/x", "empty": ""}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{user `tag`}}", "Rel.1"),
        ('{{ user "tag" }}', "Rel.1"),
        ("a {{- user `tag` -}} b", "aRel.1b"),
        ("a {{user `tag` -}} b", "a Rel.1b"),
        ("{{user `tag` | lower}}/{{ user `tag`|upper }}", "rel.1/REL.1"),
        ("{{replace_all `.` `-` (user `tag`)}}", "Rel-1"),
        ("{{user `tag` | replace `e` `a` 1}}", "Ral.1"),
        ("{{split (user `tag`) `.` 1}}", "1"),
        ("{{user `tag` | clean_resource_name}}", "rel-1"),
        ("{{`tag` | user}}", "Rel.1"),
        ("[{{user `empty`}}]", "[]"),
        ("{{user `unknown`}}", "{{user `unknown`}}"),
        ("x {{- user `unknown` -}} y", "x {{- user `unknown` -}} y"),
        ("{{ .Path }} {{timestamp}}", "{{ .Path }} {{timestamp}}"),
        ("{{split (user `tag`) `.` 9}}", "{{split (user `tag`) `.` 9}}"),
        ("{{user `tag` | nothing}}", "{{user `tag` | nothing}}"),
        ("{{if true}}{{user `tag`}}{{end}}", "{{if true}}Rel.1{{end}}"),
        ("{{`}}` | lower}}", "}}"),
        ("no braces", "no braces"),
    ],
)
def test_what_is_known_is_evaluated_and_the_rest_is_kept(text: str, found: str) -> None:
    assert fill(text, VALUES) == found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{user `a`}} {{- user `b` | upper -}}", {"a", "b"}),
        ("{{`c` | user}}", {"c"}),
        ("{{user (printf `%s` `d`)}}", {ALL}),
        ("adduser user `e`; {{ .Vars }}", set()),
        ("{{user `a`}}; createuser user `f`", {"a"}),
    ],
)
def test_only_expressions_refer_to_variables(text: str, names: set[str]) -> None:
    assert references(text) == names


def test_only_reference_is_one_whole_expression() -> None:
    assert only_reference(" {{- user `a` -}} ") == "a"
    assert only_reference("{{user `a` | lower}}") == ""
    assert only_reference("x{{user `a`}}") == ""


def test_a_function_is_replaced_by_its_value() -> None:
    assert replaced("{{template_dir}}/x", "template_dir", "/w") == "/w/x"
    assert replaced("a {{- template_dir | lower}}", "template_dir", "/w") == "a {{- `/w` | lower}}"
    assert replaced("template_dir {{user `template_dir`}}", "template_dir", "/w") == (
        "template_dir {{user `template_dir`}}"
    )


def test_a_function_is_mentioned_only_in_expressions() -> None:
    assert mentions("x {{ build_name | upper }}", "build_name")
    assert not mentions("build_name {{user `build_name`}}", "build_name")
