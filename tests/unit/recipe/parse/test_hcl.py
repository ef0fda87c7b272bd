"""HCL2's syntax: what is refused, with its line, and the values of literals."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bakery.recipe.parse import Findings
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_expression, parse_hcl, parse_template


@pytest.mark.parametrize(
    ("written", "line", "message"),
    [
        ("a {\n  b = 1\n\nx {\n}\n", 1, "invalid HCL: missing '}'"),
        ("a = 1\n}\n", 2, "invalid HCL: unexpected '}'"),
        ("a = 1\nb.c = 2\n", 2, "invalid HCL: unexpected"),
        ('a = "\\q"\n', 1, "invalid HCL: unexpected"),
        ("a = <<E\nx\n", 1, "invalid HCL: missing"),
        ("a = 1\nb = 1 c = 2\n", 2, "two items on one line"),
        ('x "y" {\n a = 1\n a = 2\n}\n', 3, "duplicate attribute a"),
        ('\na = "x\ny"\n', 2, "a quoted string has more than one line"),
        ('\na = "${b}\n"\n', 2, "a quoted string has more than one line"),
        ("a = 0x1F\n", 1, "'0x1F' is not a number"),
        (f"a = {'9' * 400}\n", 1, f"'{'9' * 26}... is not a number"),
        ("a = 1\nb = 1e999\n", 2, "'1.0e999' is not a number"),
        ("a = 1e99999999999999999999\n", 1, "is not a number"),
        ("a = 1.00000000000000000000001\n", 1, "has more digits than the plan can follow"),
        ("a = 1e3x\n", 1, "invalid HCL: unexpected 'x'"),
        ("a = 1e\n", 1, "invalid HCL: unexpected 'e'"),
        ("a = 1e3\nb = }\n", 2, "invalid HCL: missing"),
        ("a = {\n  var.b = 1\n}\n", 2, "'var.b' is not a key of an object"),
        (f"a = {'[' * 120}{']' * 120}\n", 1, "levels deep"),
        (f"a = {'(' * 280}1{')' * 280}\n", 1, "nested too deeply"),
        (f"a = {'(' * 5000}1{')' * 5000}\n", 1, "levels deep"),
    ],
)
def test_what_is_refused(written: str, line: int, message: str) -> None:
    findings = Findings("x.pkr.hcl")
    parse_hcl(written.encode(), findings)
    (problem,) = findings.problems
    assert (problem.file, problem.line) == ("x.pkr.hcl", line)
    assert message in problem.message
    assert problem.hint


def test_blocks_labels_and_comments() -> None:
    findings = Findings()
    body = parse_hcl(b'# c\nsource "a" b {\n  x = 1 // c\n  y {}\n  /* c */ z = [1, # c\n 2]\n}\n', findings)
    assert body is not None
    assert not findings.problems
    (block,) = body.blocks
    assert (block.type, block.labels, block.line) == ("source", ("a", "b"), 2)
    assert list(block.body.attributes) == ["x", "z"]
    assert [inner.type for inner in block.body.of("y")] == ["y"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e3", 1000),
        ("1E+3", 1000),
        ("1e-3", 0.001),
        ("1.5e3", 1500),
        ("1e23", 10**23),
        ('"1e3 $${b}"', "1e3 ${b}"),
        ("1", 1),
        ("1.50", 1.5),
        ("2.0", 2),
        ('"\\u00e9\\n$${a} %%{b}"', "é\n${a} %{b}"),
        ("null", None),
        ("true", True),
    ],
)
def test_literals(written: str, value: object) -> None:
    found = parse_expression(written, 7)
    assert isinstance(found, nodes.Literal)
    assert (found.value, type(found.value), found.line) == (value, type(value), 7)


@pytest.mark.parametrize("written", ["1 2", "", "a = 1", "${x", "a\nb = 2"])
def test_what_is_no_expression(written: str) -> None:
    assert parse_expression(written, 1) is None


def test_a_text_that_holds_the_end_of_its_own_heredoc_is_a_template() -> None:
    found = parse_template("END\n${a}\nEND", 3)
    assert isinstance(found, nodes.Template)
    assert [part.line for part in found.parts] == [3] * len(found.parts)
    assert "".join(part.value for part in found.parts if isinstance(part, nodes.Literal)) == "END\n\nEND"  # type: ignore[misc]


def test_exponents_are_only_numbers_where_hcl_has_numbers() -> None:
    findings = Findings()
    text = b'a-1e3 = 1 # 1e3 $$${\nb = "1e3 ${f(1e3, 2e3)} 1e3"\nc = <<E\n1e3 ${1e3}\nE\n'
    body = parse_hcl(text, findings)
    assert body is not None
    assert not findings.problems
    assert list(body.attributes) == ["a-1e3", "b", "c"]
    texts = [body.attributes[name].expression.text for name in ("b", "c")]
    assert texts == ['"1e3 ${f(1.0e3, 2.0e3)} 1e3"', "<<E\n1e3 ${1.0e3}\nE"]


def test_a_plan_without_hcl2_does_not_load_the_parser() -> None:
    code = "import sys, bakery.recipe.load, bakery.recipe.check.package as p; print('tree_sitter' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "False"
